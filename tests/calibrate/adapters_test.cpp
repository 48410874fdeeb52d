// Models with adapters that tokens of their own switch on (graniteswitch).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/run_fixture.h"
#include "calibrate/text_chunks.h"
#include "core/error.h"
#include "gguf/writer.h"

namespace assay::calibrate {
namespace {

/// granite with adapters, of which this token switches one on.
std::filesystem::path with_adapters(const test::Fixture& granite, std::int64_t token) {
    const gguf::File file = gguf::File::open(granite.model());
    gguf::Writer writer;
    for (const auto& [key, value] : file.metadata().values()) {
        const bool own = key.starts_with("granite.");
        writer.add(own ? "graniteswitch" + key.substr(7) : key,
                   key == "general.architecture" ? gguf::text("graniteswitch") : value);
    }
    writer.add("graniteswitch.adapters.count", gguf::u32(1));
    writer.add("graniteswitch.adapters.token_ids_activate", gguf::i32s({token}));
    for (const gguf::Tensor& tensor : file.tensors())
        writer.add_tensor(tensor.name, {tensor.ne.begin(), tensor.ne.end()}, tensor.type->id,
                          file.data(tensor));
    const std::vector<float> values(64, 1);
    writer.add_tensor("blk.0.attn_q.lora_a", {32, 1, 2}, quant::TypeId::F32,
                      std::as_bytes(std::span(values)));
    const auto path = granite.folder() / "adapters.gguf";
    write_file_atomically(path, writer.bytes());
    return path;
}

TEST(Adapters, AddNothingUntilTheirTokenComes) {
    const test::Fixture granite("granite-dense");
    Options options = options_for(granite);
    options.model = with_adapters(granite, 1 << 20);
    Recorder recorder;
    run(options, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, granite.running_perplexity()), 1e-4);
    EXPECT_EQ(test::read_matrix(options.output).size(), granite.matrix().size());
}

TEST(Adapters, ATextWithTheirTokenIsRefused) {
    const test::Fixture granite("granite-dense");
    Options options = options_for(granite);
    Recorder recorder;
    const Chunks chunks = tokenize(gguf::File::open(options.model), options, recorder);
    options.model = with_adapters(granite, chunks.targets.at(200));
    try {
        run(options, recorder);
        ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Unsupported);
        EXPECT_THAT(error.what(), testing::HasSubstr("switches an adapter of the model on"));
    }
}

}  // namespace
}  // namespace assay::calibrate
