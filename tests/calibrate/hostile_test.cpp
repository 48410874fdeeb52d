// Models that lie or end early: one Error, never a crash, and nothing on disk is harmed.
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>

#include "calibrate/run_fixture.h"
#include "core/error.h"
#include "gguf/file.h"
#include "gguf/writer.h"

namespace assay::calibrate {
namespace {

void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// What the job says about this model; empty when it ran.
std::string refusal(Options options, const std::filesystem::path& model) {
    options.model = model;
    Recorder recorder;
    try {
        run(options, recorder);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

class HostileModel : public testing::Test {
  protected:
    HostileModel() : fixture_("llama-moe"), options_(options_for(fixture_)) {
        options_.max_chunks = 1;
        write(options_.output, "kept");
    }
    ~HostileModel() override { EXPECT_EQ(read_file(options_.output), "kept"); }

    /// The fixture written again with one key changed.
    std::string with_key(const std::string& key, const gguf::Value& value) {
        const gguf::File file = gguf::File::open(fixture_.model());
        gguf::Metadata metadata = file.metadata();
        metadata.set(key, value);
        return refusal(options_, rewritten(file, metadata, {}));
    }
    /// The fixture without one tensor.
    std::string without(const std::string& tensor) {
        const gguf::File file = gguf::File::open(fixture_.model());
        return refusal(options_, rewritten(file, file.metadata(), tensor));
    }

    test::Fixture fixture_;
    Options options_;

  private:
    std::filesystem::path rewritten(const gguf::File& file, const gguf::Metadata& metadata,
                                    const std::string& left_out) {
        gguf::Writer writer;
        for (const auto& [key, value] : metadata.values()) writer.add(key, value);
        for (const gguf::Tensor& tensor : file.tensors())
            if (tensor.name != left_out)
                writer.add_tensor(tensor.name, {tensor.ne.begin(), tensor.ne.end()}, tensor.type->id,
                                  file.data(tensor));
        const auto bytes = writer.bytes();
        const auto path = fixture_.folder() / "changed.gguf";
        write(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        return path;
    }
};

TEST_F(HostileModel, EveryTruncationIsRefused) {
    const std::string whole = read_file(fixture_.model());
    const auto header = gguf::File::open(fixture_.model()).tensors().front().offset_bytes;
    const auto path = fixture_.folder() / "cut.gguf";
    // All of the header in steps that hit every kind of field, then some of the data.
    for (std::size_t n = 0; n < header; n += n < 600 ? 1 : 97) {
        write(path, whole.substr(0, n));
        EXPECT_NE(refusal(options_, path), "") << n;
    }
    for (std::size_t part = 1; part < 8; ++part) {
        write(path, whole.substr(0, header + (whole.size() - header) / 8 * part));
        EXPECT_NE(refusal(options_, path).find("truncated"), std::string::npos) << part;
    }
}

TEST_F(HostileModel, FieldsOfAllOnesAreRefusedOrHarmless) {
    const std::string whole = read_file(fixture_.model());
    const auto header = gguf::File::open(fixture_.model()).tensors().front().offset_bytes;
    const auto path = fixture_.folder() / "lies.gguf";
    options_.output = fixture_.folder().path() / "other.gguf";
    for (std::size_t at = 4; at + 8 <= header; at += at < 400 ? 4 : 101) {
        std::string lying = whole;
        std::memset(lying.data() + at, 0xff, 8);
        write(path, lying);
        refusal(options_, path);  // must come back, with or without an Error
    }
    options_.output = fixture_.folder().path() / "out.gguf";
}

TEST_F(HostileModel, NumbersThatCannotBeAreNamed) {
    const auto says = [&](const std::string& key, const gguf::Value& value, const std::string& expected) {
        const std::string message = with_key(key, value);
        EXPECT_NE(message.find(expected), std::string::npos) << key << ": " << message;
    };
    says("general.architecture", gguf::text("teapot"), "architecture teapot is not known");
    says("llama.attention.head_count", gguf::u32(0), "attention.head_count");
    says("llama.attention.head_count_kv", gguf::u32(3), "no multiple of 3 key heads");
    says("llama.attention.key_length", gguf::u32(1 << 20), "the metadata asks for [256, 4194304]");
    says("llama.rope.dimension_count", gguf::u32(63), "expected an even number");
    says("llama.rope.scaling.type", gguf::text("dynamic"),
         "is \"dynamic\", expected none, linear, yarn or longrope");
    says("llama.rope.freq_base", gguf::f32(0.0f), "expected a number above 1");
    says("llama.attention.layer_norm_rms_epsilon", gguf::f32(-1.0f), "expected a small positive number");
    says("llama.block_count", gguf::u32(0), "block_count is 0");
    says("llama.block_count", gguf::u32(3), "blk.2.attn_norm.weight is missing");
    const auto integer = [](std::int64_t number) {
        return gguf::Value{gguf::ValueType::I64, gguf::ValueType::I64, number};
    };
    const std::int64_t least = std::numeric_limits<std::int64_t>::min();
    says("llama.nextn_predict_layers", gguf::u32(2), "2 blocks, 2 of them");
    says("llama.nextn_predict_layers", integer(-1), "2 blocks, -1 of them");
    says("llama.nextn_predict_layers", integer(least), "2 blocks, -9223372036854775808 of them");
    says("llama.embedding_length", gguf::u32(128), "the metadata asks for [128");
    says("llama.feed_forward_length", gguf::u32(128), "the metadata asks for");
    says("llama.expert_used_count", gguf::u32(9), "9 of 8 experts used");
    says("llama.context_length", gguf::text("long"), "expected an integer");
    says("tokenizer.ggml.model", gguf::text("runes"), "runes");
}

TEST_F(HostileModel, AMissingTensorIsNamed) {
    EXPECT_NE(without("blk.1.ffn_down_exps.weight").find("blk.1.ffn_down_exps.weight is missing"),
              std::string::npos);
    EXPECT_NE(without("token_embd.weight").find("token_embd.weight is missing"), std::string::npos);
}

TEST_F(HostileModel, ATokenWithoutEmbeddingIsRefused) {
    const gguf::File file = gguf::File::open(fixture_.model());
    gguf::Strings tokens = *file.metadata().find_strings("tokenizer.ggml.tokens");
    const std::string message =
        with_key("tokenizer.ggml.tokens", gguf::texts(gguf::Strings(tokens.begin(), tokens.begin() + 4)));
    EXPECT_NE(message, "");
}

}  // namespace
}  // namespace assay::calibrate
