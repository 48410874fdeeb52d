// A model whose rows lie together in sixteens gives what the same model gives row by row.
#include <deque>
#include <fstream>
#include <gtest/gtest.h>

#include "backend/open.h"
#include "calibrate/rounding.h"
#include "core/error.h"
#include "core/half.h"
#include "engine/small_model.h"
#include "gguf/writer.h"

namespace assay::calibrate {
namespace {

using quant::TypeId;

constexpr std::uint64_t kTogether = 16;

/// Rows of bf16: row by row, or pairs of sixteen rows in turn.
std::vector<std::byte> bf16_rows(std::span<const float> weights, std::uint64_t n_in, bool together) {
    std::vector<std::uint16_t> out(weights.size());
    for (std::uint64_t i = 0; i < weights.size(); ++i) {
        const std::uint64_t row = i / n_in, column = i % n_in, lane = row % kTogether;
        const std::uint64_t place =
            together ? (row - lane) * n_in + column / 2 * 2 * kTogether + 2 * lane + column % 2 : i;
        out[place] = float_to_bf16(weights[i]);
    }
    const auto bytes = std::as_bytes(std::span(out));
    return {bytes.begin(), bytes.end()};
}

/// The model with every matrix that has sixteens of rows in bf16.
std::filesystem::path rewritten(const engine::SmallModel& model, bool together) {
    gguf::Writer writer;
    for (const auto& [key, value] : model.file.metadata().values()) writer.add(key, value);
    std::deque<std::vector<std::byte>> kept;
    for (const gguf::Tensor& tensor : model.file.tensors()) {
        std::vector<std::uint64_t> ne(tensor.ne.begin(), tensor.ne.begin() + tensor.n_dims);
        const std::span<const std::byte> data = model.file.data(tensor);
        if (tensor.n_dims < 2 || tensor.ne[1] % kTogether != 0 || tensor.type->id != TypeId::F32) {
            writer.add_tensor(tensor.name, ne, tensor.type->id, data);
            continue;
        }
        const std::span weights(reinterpret_cast<const float*>(data.data()), tensor.elements());
        writer.add_tensor(tensor.name, ne, together ? TypeId::BF16_R16 : TypeId::BF16,
                          kept.emplace_back(bf16_rows(weights, tensor.ne[0], together)));
    }
    const auto path = model.fixture.folder().path() / (together ? "together.gguf" : "alone.gguf");
    const std::vector<std::byte> bytes = writer.bytes();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path;
}

struct Divergences final : engine::VariantSink {
    void on_variant(const engine::VariantChunk& chunk) override {
        for (const backend::Divergence& row : chunk.positions) losses.push_back(row.loss);
    }
    std::vector<double> losses;
};

TEST(Interleaved, GivesWhatRowsAloneGive) {
    const engine::SmallModel model("llama-moe");
    ThreadPool pool(2);
    const auto backend = backend::open({"cpu", backend::Precision::Auto, {}, engine::kContext}, pool);
    plan::PassOptions options;
    options.n_ctx = engine::kContext;
    engine::RecordingSink sums[2];
    std::vector<double> losses[2];
    for (const bool together : {false, true}) {
        const gguf::File file = gguf::File::open(rewritten(model, together));
        for (const char* name : {"token_embd.weight", "output.weight", "blk.0.ffn_down_exps.weight"})
            ASSERT_EQ(file.get(name).type->id, together ? TypeId::BF16_R16 : TypeId::BF16) << name;
        const plan::PassPlan plan(file, model.program, *backend, options);
        engine::Pass pass(plan, *backend, {});
        sums[together] = model.run(pass);

        const imatrix::Matrix no_matrix;
        ThreadPool threads(2);
        Rounder rounder(file, no_matrix, threads);
        Rounding table({"token_embd.weight"}, TypeId::Q8_0, rounder);
        Rounding weights({"token_embd.weight", "blk.0.ffn_down_exps.weight", "output.weight"}, TypeId::Q4_0,
                         rounder);
        const std::vector<engine::Variant> variants{{&table}, {&weights}};
        plan::PassOptions no_sums = options;
        no_sums.sums = false;
        const plan::PassPlan plan_of_both(file, model.program, *backend, no_sums);
        engine::Pass both(plan_of_both, *backend, {});
        Divergences sink;
        both.run_variants(model.wave(), variants, sink, [](std::int64_t, double) {});
        losses[together] = sink.losses;
    }
    EXPECT_TRUE(sums[0] == sums[1]);
    EXPECT_FALSE(losses[0].empty());
    EXPECT_EQ(losses[0], losses[1]);
}

TEST(Interleaved, PartsOfAGroupAreRefused) {
    const engine::SmallModel model("llama-moe");
    const gguf::File file = gguf::File::open(rewritten(model, true));
    ThreadPool pool(1);
    const auto backend = backend::open({"cpu", backend::Precision::Auto, {}, engine::kContext}, pool);
    const plan::PassPlan plan(file, model.program, *backend,
                              {.n_ctx = engine::kContext, .observed_output = {}});
    const weights::Sources sources(plan, *backend);
    const auto make = [&](std::int64_t first, std::int64_t count) {
        const plan::Piece piece{plan.stages().size(), first, count, {}, 0};
        return sources.job(piece).make(gguf::TensorBytes(file));
    };
    EXPECT_EQ(make(16, 32).steps.front().matrices.front()->n_out(), 32);
    EXPECT_THROW((void)make(8, 16), Error);
    EXPECT_THROW((void)make(16, 8), Error);
}

}  // namespace
}  // namespace assay::calibrate
