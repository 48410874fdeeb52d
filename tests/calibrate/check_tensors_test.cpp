// Weights that are no numbers, and mismatches between what a run is given.
#include "calibrate/check_tensors.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <map>

#include "calibrate/run_fixture.h"
#include "core/half.h"
#include "gguf/writer.h"

namespace assay::calibrate {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class BrokenWeights : public testing::Test {
  protected:
    BrokenWeights() : fixture_("llama-dense"), options_(options_for(fixture_)) {
        options_.max_chunks = 2;
        options_.process_output = false;
    }
    /// The fixture with this element of a tensor replaced.
    void spoil(const std::string& name, std::uint64_t element, float value) {
        const gguf::File file = gguf::File::open(fixture_.model());
        const gguf::Tensor& tensor = file.get(name);
        std::string bytes = read_file(fixture_.model());
        char* place = bytes.data() + tensor.offset_bytes + element * tensor.size_bytes / tensor.elements();
        const std::uint16_t half = float_to_half(value);
        if (tensor.type->id == quant::TypeId::F16)
            std::memcpy(place, &half, sizeof half);
        else
            std::memcpy(place, &value, sizeof value);
        options_.model = fixture_.folder() / "broken.gguf";
        write_file_atomically(options_.model, std::as_bytes(std::span(bytes)));
    }
    /// What the run says; empty when it ran.
    std::string said() {
        recorder_ = {};
        try {
            run(options_, recorder_);
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Numeric);
            return error.what();
        }
        return {};
    }

    test::Fixture fixture_;
    Options options_;
    Recorder recorder_;
};

TEST_F(BrokenWeights, AreNamedByACheck) {
    options_.check_tensors = true;
    EXPECT_EQ(said(), "");
    const gguf::File file = gguf::File::open(fixture_.model());
    const std::uint64_t last = file.get("token_embd.weight").elements() - 1;
    for (const auto& [name, element, value] : {std::tuple("output.weight", 5ul, kNan),
                                               {"blk.1.ffn_down.weight", 5ul, -kInfinity},
                                               {"output_norm.weight", 3ul, kInfinity},
                                               {"blk.0.attn_k.weight", 700ul, kNan},
                                               {"token_embd.weight", std::uint64_t{last}, kNan}})
        for (const bool perplexity : {true, false}) {
            spoil(name, element, value);
            options_.perplexity = perplexity;
            const std::uint64_t width = file.get(name).ne[0];
            EXPECT_THAT(said(), StartsWith(fmt::format("{}: holds {} in row {}, column {}", name, value,
                                                       element / width, element % width)));
        }
}

TEST_F(BrokenWeights, AreFoundWhereNumbersStopToBeNumbers) {
    const auto says = [&](const std::string& name, const std::string& seen) {
        spoil(name, 5, kNan);
        const std::string message = said();
        EXPECT_THAT(message, StartsWith(name + ": holds nan in row 0, column 5"));
        EXPECT_THAT(message, HasSubstr(seen));
    };
    says("blk.0.attn_norm.weight", "blk.0.attn_q.weight: its input holds NaN or infinity in chunk 1");
    says("blk.0.ffn_down.weight", "blk.1.attn_q.weight: its input holds NaN or infinity in chunk 1");
    says("blk.1.ffn_down.weight", "perplexity: is not a number in chunk 1");
    says("output_norm.weight", "perplexity: is not a number in chunk 1");
    says("output.weight", "perplexity: is not a number in chunk 1");
    EXPECT_TRUE(recorder_.perplexities.empty());
    EXPECT_TRUE(recorder_.saved.empty());
    options_.perplexity = false;
    for (const std::string name : {"output.weight", "output_norm.weight", "blk.1.ffn_down.weight"})
        says(name, "");
}

TEST_F(BrokenWeights, MayBeFiniteAndTooLarge) {
    spoil("output_norm.weight", 5, 3e38f);
    const std::string message = said();
    EXPECT_THAT(message, StartsWith("perplexity: is not a number in chunk 1"));
    EXPECT_THAT(message, HasSubstr("the weights there are finite"));
}

// The last token does not occur in the first chunk.
TEST_F(BrokenWeights, ThatNothingUsesDoNoHarm) {
    options_.max_chunks = 1;
    spoil("token_embd.weight", gguf::File::open(fixture_.model()).get("token_embd.weight").elements() - 1,
          kNan);
    EXPECT_EQ(said(), "");
}

// Blocks with a scale that is no number, of every type that stores one as half float first.
TEST(CheckTensors, DecodesWhatItLooksAt) {
    const test::TempDir folder;
    const std::vector<float> clean(64, 1.0f);
    for (const quant::TypeId id :
         {quant::TypeId::Q8_0, quant::TypeId::Q4_0, quant::TypeId::Q4_1, quant::TypeId::Q5_0}) {
        const quant::TypeInfo& type = quant::type_info(id);
        std::vector<std::byte> bytes(std::size_t{4} * type.block_bytes);
        const std::uint16_t bad = 0x7e00;
        for (const bool broken : {false, true}) {
            if (broken) std::memcpy(bytes.data() + std::size_t{3} * type.block_bytes, &bad, sizeof bad);
            gguf::Writer writer;
            writer.add_tensor("a.weight", {64}, quant::TypeId::F32, std::as_bytes(std::span(clean)));
            writer.add_tensor("b.weight", {64, 2}, id, bytes);
            write_file_atomically(folder / "m.gguf", writer.bytes());
            const gguf::File file = gguf::File::open(folder / "m.gguf");
            std::string message;
            try {
                check_tensors(file, all_tensors(file), 2);
            } catch (const Error& error) {
                message = error.what();
            }
            EXPECT_EQ(message.empty(), !broken) << type.name;
            if (broken) {
                EXPECT_THAT(message, StartsWith("b.weight: holds nan in row 1, column 32")) << type.name;
            }
        }
    }
}

TEST(Mismatches, AnOutputThatIsNotThereIsTold) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.max_chunks = 1;
    Recorder recorder;
    run(options, recorder);
    EXPECT_TRUE(recorder.notes.empty());
    recorder = {};
    options.output_tensor_name = "token_embd.weight";
    run(options, recorder);
    ASSERT_EQ(recorder.notes.size(), 1u);
    EXPECT_THAT(recorder.notes[0],
                StartsWith("--process-output collects nothing: the model's output projection is "
                           "output.weight, and token_embd.weight was to be collected"));
}

TEST(Mismatches, AMatrixOfAnotherModelIsTold) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.max_chunks = 1;
    imatrix::Matrix other;
    other.chunk_size = 128;
    other.entries["blk.77.attn_q.weight"] = {2, {1, 1}, {}, {128}};
    imatrix::Notes notes;
    imatrix::save(other, fixture.folder() / "other.gguf", imatrix::Format::Gguf, notes);
    options.in_files = {fixture.folder() / "other.gguf"};
    Recorder recorder;
    run(options, recorder);
    EXPECT_THAT(recorder.notes,
                testing::ElementsAre("1 of the 1 entries loaded are no weights of this model, the first is "
                                     "blk.77.attn_q.weight"));
    options.in_files = {options.output};
    options.output = fixture.folder() / "again.gguf";
    imatrix::Matrix good = imatrix::load(options.in_files.front(), {}, notes);
    good.entries.erase("blk.77.attn_q.weight");
    imatrix::save(good, options.in_files.front(), imatrix::Format::Gguf, notes);
    recorder = {};
    run(options, recorder);
    EXPECT_TRUE(recorder.notes.empty());
}

}  // namespace
}  // namespace assay::calibrate
