#include "calibrate/kld.h"

#include <deque>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/run_fixture.h"
#include "core/error.h"
#include "gguf/writer.h"
#include "quant/encode.h"

namespace assay::calibrate {
namespace {

using perplexity::ComparedFile;
using perplexity::ComparedPair;
using perplexity::Comparison;
using quant::TypeId;

/// The model with its matrices in another type, and with other norms and biases: nothing is shared but what
/// the program is made with (rope_freqs).
std::filesystem::path file_of(const test::Fixture& fixture, TypeId type, float factor,
                              const std::function<void(gguf::Metadata&)>& change = {}) {
    const gguf::File file = gguf::File::open(fixture.model());
    gguf::Metadata metadata = file.metadata();
    if (change) change(metadata);
    gguf::Writer writer;
    for (const auto& [key, value] : metadata.values()) writer.add(key, value);
    std::deque<std::vector<std::byte>> kept;
    for (const gguf::Tensor& tensor : file.tensors()) {
        const std::uint64_t n = tensor.ne[0];
        const bool is_matrix = tensor.n_dims > 1 && n % 32 == 0;
        const bool is_kept = is_matrix || tensor.name.find("rope_f") != std::string::npos;
        const TypeId stored = is_matrix ? type : TypeId::F32;
        const std::uint64_t row_bytes = quant::row_bytes(quant::type_info(stored), n);
        auto& bytes = kept.emplace_back(row_bytes * tensor.rows());
        std::vector<float> row(n);
        for (std::uint64_t r = 0; r < tensor.rows(); ++r) {
            tensor.type->decode(file.data(tensor).data() + r * tensor.row_bytes(), n, row.data());
            for (float& value : row) value *= is_kept ? 1 : factor;
            quant::find_encoder(stored)(row.data(), n, nullptr, bytes.data() + r * row_bytes);
        }
        writer.add_tensor(tensor.name, {tensor.ne.begin(), tensor.ne.end()}, stored, bytes);
    }
    const auto path = fixture.folder() / fmt::format("{}-{}.gguf", quant::type_info(type).name, factor);
    write_file_atomically(path, writer.bytes());
    return path;
}

KldOptions kld_of(const test::Fixture& fixture, std::vector<std::filesystem::path> files) {
    KldOptions options{options_for(fixture), std::move(files)};
    options.run.max_chunks = 2;
    return options;
}

std::string refusal(const KldOptions& options) {
    Recorder recorder;
    try {
        run_kld(options, recorder);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

class KldOf : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, KldOf,
                         testing::Values("llama-dense", "llama-moe", "gemma3-dense", "phi2-dense",
                                         "qwen35-dense", "deepseek2-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(KldOf, EachFileIsComputedWithItsOwnWeights) {
    const test::Fixture fixture(GetParam());
    const KldOptions options =
        kld_of(fixture, {file_of(fixture, TypeId::Q8_0, 1), file_of(fixture, TypeId::Q4_0, 1.125f)});
    Recorder recorder;
    const Comparison table = run_kld(options, recorder).table;
    const double base = run(options.run, recorder = {}).perplexity.value();
    // The sums are the same, taken in another order.
    EXPECT_NEAR(table.perplexity.value, base, 1e-6 * base);
    ASSERT_EQ(table.files.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
        const ComparedFile& file = table.files[i];
        Options alone = options.run;
        alone.model = options.files[i];
        const Result result = run(alone, recorder = {});
        EXPECT_NEAR(file.perplexity.value, *result.perplexity, 1e-6 * base);
        EXPECT_NEAR(file.perplexity.error, result.perplexity_error, 1e-4 * result.perplexity_error);
        EXPECT_NEAR(file.log_ratio.value, std::log(*result.perplexity / base), 1e-6);
        EXPECT_GT(file.divergence.value, 0);
        EXPECT_LT(file.bits_per_weight, table.bits_per_weight);
        EXPECT_GT(file.same_top.value, 0);
    }
    EXPECT_LT(table.files[0].divergence.value, table.files[1].divergence.value);
    EXPECT_GT(table.files[0].same_top.value, table.files[1].same_top.value);
    ASSERT_EQ(table.pairs.size(), 1u);
    const ComparedPair& pair = table.pairs.front();
    EXPECT_EQ(pair.first, 0u);
    EXPECT_EQ(pair.second, 1u);
    EXPECT_NEAR(pair.divergence.value, table.files[1].divergence.value - table.files[0].divergence.value,
                1e-6);
    EXPECT_NEAR(pair.log_ratio.value, table.files[1].log_ratio.value - table.files[0].log_ratio.value, 1e-6);
}

TEST_P(KldOf, TheModelDoesNotDifferFromItself) {
    const test::Fixture fixture(GetParam());
    KldOptions options = kld_of(fixture, {fixture.model()});
    for (const backend::Precision precision : {backend::Precision::F32, backend::Precision::Auto}) {
        options.run.precision = precision;
        Recorder recorder;
        const ComparedFile file = run_kld(options, recorder).table.files.front();
        EXPECT_EQ(file.log_ratio.value, 0);
        EXPECT_EQ(file.divergences.largest, 0);
        EXPECT_EQ(file.probability_change_rms.value, 0);
        EXPECT_EQ(file.same_top.value, 1);
        EXPECT_EQ(file.same_top.error, 0);
    }
}

bool same(const Comparison& a, const Comparison& b) {
    const auto equal = [](const perplexity::Measured& x, const perplexity::Measured& y) {
        return x.value == y.value && x.error == y.error;
    };
    bool all = equal(a.perplexity, b.perplexity) && a.files.size() == b.files.size();
    for (std::size_t i = 0; all && i < a.files.size(); ++i) {
        const ComparedFile& x = a.files[i];
        const ComparedFile& y = b.files[i];
        all = equal(x.perplexity, y.perplexity) && equal(x.divergence, y.divergence) &&
              equal(x.same_top, y.same_top) && equal(x.log_ratio, y.log_ratio) &&
              x.divergences.largest == y.divergences.largest;
    }
    return all;
}

TEST(Kld, TheSameNumbersForAnyMemoryAndThreads) {
    const test::Fixture fixture("llama-moe");
    KldOptions options =
        kld_of(fixture, {file_of(fixture, TypeId::Q8_0, 1), file_of(fixture, TypeId::Q4_0, 1),
                         file_of(fixture, TypeId::F16, 1.125f)});
    options.run.max_chunks = 5;
    options.run.precision = backend::Precision::Auto;
    Recorder recorder;
    const Comparison first = run_kld(options, recorder).table;
    EXPECT_EQ(recorder.plan.n_sweeps, 1);
    EXPECT_EQ(recorder.plan.n_variants, 3);
    EXPECT_FALSE(recorder.plan.streamed);
    for (const int n_threads : {1, 3}) {
        options.run.n_threads = n_threads;
        options.run.memory_bytes = 1;
        // "... need N MiB", rounded down: the least bound is above that.
        const std::string too_few = refusal(options);
        const std::uint64_t least = std::stoull(too_few.substr(too_few.rfind("need ") + 5)) + 1;
        options.run.memory_bytes = least << 20;
        const Comparison again = run_kld(options, recorder = {}).table;
        EXPECT_GT(recorder.plan.n_sweeps, 1);
        EXPECT_LE(recorder.plan.memory_bytes, least << 20);
        EXPECT_TRUE(same(again, first));
    }
}

/// Stops when a sweep is done, of so many of a wave.
class Impatient final : public Recorder {
  public:
    void on_progress(const Progress& progress) override {
        Recorder::on_progress(progress);
        stop_ = progress.chunks_done == 2 && progress.layers_done == progress.n_layers;
    }
    bool stop_requested() const override { return stop_; }

  private:
    bool stop_ = false;
};

TEST(Kld, CountsWholeChunksOfAllFilesWhereItIsStopped) {
    const test::Fixture fixture("llama-dense");
    KldOptions options =
        kld_of(fixture, {file_of(fixture, TypeId::Q8_0, 1), file_of(fixture, TypeId::Q4_0, 1)});
    Recorder recorder;
    const Comparison two = run_kld(options, recorder).table;
    options.run.max_chunks = 5;
    options.run.memory_bytes = 1;
    const std::string too_few = refusal(options);
    options.run.memory_bytes = (std::stoull(too_few.substr(too_few.rfind("need ") + 5)) + 1) << 20;
    Impatient observer;
    const KldResult result = run_kld(options, observer);
    EXPECT_TRUE(result.stopped);
    EXPECT_EQ(result.table.n_chunks, 2);
    EXPECT_TRUE(same(result.table, two));
}

TEST(Kld, AnotherModelIsRefusedWithWhatDiffers) {
    const test::Fixture fixture("llama-dense");
    const test::Fixture other("qwen3-dense");
    EXPECT_THAT(refusal(kld_of(fixture, {other.model()})),
                testing::HasSubstr("general.architecture ('llama', 'qwen3')"));
    const auto changed = [&](const char* key, gguf::Value value) {
        return refusal(kld_of(fixture, {file_of(fixture, TypeId::Q8_0, 1, [&](gguf::Metadata& metadata) {
                                  metadata.set(key, std::move(value));
                              })}));
    };
    EXPECT_THAT(changed("llama.rope.freq_base", gguf::f32(500)),
                testing::AllOf(testing::HasSubstr("holds another model than "),
                               testing::EndsWith("comes first: llama.rope.freq_base (10000, 500)")));
    // What only one of the files says counts where it changes something.
    EXPECT_EQ(changed("llama.remark", gguf::text("none")), "");
    EXPECT_THAT(changed("llama.rope.scaling.type", gguf::text("linear")), testing::Eq(""));
    const gguf::File file = gguf::File::open(fixture.model());
    gguf::Strings tokens = *file.metadata().find_strings("tokenizer.ggml.tokens");
    const auto n = tokens.size();
    tokens[5] += "x";
    EXPECT_THAT(changed("tokenizer.ggml.tokens", gguf::texts(tokens)),
                testing::HasSubstr(fmt::format(
                    "tokenizer.ggml.tokens ({} entries, {}; entry 5 is the first to differ)", n, n)));
}

TEST(Kld, RefusesWhatItCannotDo) {
    const test::Fixture fixture("llama-dense");
    KldOptions options = kld_of(fixture, {fixture.folder() / "missing.gguf"});
    EXPECT_THAT(refusal(options), testing::HasSubstr("missing.gguf"));
    options = kld_of(fixture, {fixture.model()});
    options.run.n_ctx = 2;
    EXPECT_THAT(refusal(options), testing::HasSubstr("--ctx-size"));
    options = kld_of(fixture, {fixture.model()});
    options.run.max_chunks = 0;
    EXPECT_THAT(refusal(options), testing::HasSubstr("--chunks"));
}

}  // namespace
}  // namespace assay::calibrate
