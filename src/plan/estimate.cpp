#include "plan/estimate.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/file.h"
#include "model/visit.h"

namespace assay::plan {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double weights(const model::Linear& linear) {
    return static_cast<double>(linear.weight.n_in) * static_cast<double>(linear.weight.n_out);
}

/// What a token costs in a step.
double flop_of(const model::Operation& operation, std::int64_t n_ctx) {
    double flop = 0;
    const auto* experts = std::get_if<model::Experts>(&operation);
    const double used = experts != nullptr ? static_cast<double>(experts->router.n_used) : 1;
    for (const model::Linear* linear : model::linears(operation)) {
        const double matrices = experts != nullptr ? used : static_cast<double>(linear->weight.n_matrices);
        flop += 2 * matrices * weights(*linear);
    }
    if (const auto* attend = std::get_if<model::Attend>(&operation)) {
        const std::int64_t keys = attend->window > 0 ? std::min(attend->window, n_ctx / 2) : n_ctx / 2;
        flop += 2 * static_cast<double>(keys * attend->n_heads * (attend->head_dim + attend->value_dim));
    }
    if (const auto* select = std::get_if<model::Select>(&operation))
        flop += static_cast<double>(n_ctx / select->block_tokens * select->q.cols);
    if (const auto* scan = std::get_if<model::Scan>(&operation))
        flop += 6 * static_cast<double>(scan->n_heads * scan->key_dim * scan->value_dim);
    return flop;
}

}  // namespace

double flop_per_token(const model::Program& program, std::int64_t n_ctx, bool losses) {
    double total = 0;
    for (const model::Layer& layer : program.layers)
        for (const model::Stage& stage : layer.stages)
            for (const model::Step& step : stage.steps) total += flop_of(step.operation, n_ctx);
    if (losses) total += weights(program.output.linear);
    for (const model::NextN& block : program.nextn) {
        for (const model::Stage& stage : block.stages)
            for (const model::Step& step : stage.steps) total += flop_of(step.operation, n_ctx);
        if (losses) total += weights(block.output.linear);
    }
    return total;
}

double product_rate(backend::Backend& backend, std::int64_t n_in, std::int64_t n_out, double seconds) {
    const std::vector<float> weights(static_cast<std::size_t>(n_in * n_out), 0.01f);
    const backend::WeightSource source{&quant::type_info(quant::TypeId::F32),
                                       std::as_bytes(std::span(weights)), n_in, n_out, 1};
    const backend::MatrixPtr matrix = backend.prepare(std::span(&source, 1));
    const std::int64_t rows = backend.preferred_rows();
    const backend::BufferPtr x =
        backend.upload(std::vector<float>(static_cast<std::size_t>(rows * n_in), 0.01f));
    const backend::BufferPtr y = backend.allocate(static_cast<std::size_t>(rows * n_out) * sizeof(float));
    const backend::View operand{x->data(), backend.operand_dtype(), rows, n_in, n_in};
    const backend::View out{y->data(), backend.activation_dtype(), rows, n_out, n_out};
    const auto run = [&] {
        backend.linear(operand, *matrix, nullptr, false, out);
        backend.synchronize();
    };
    run();  // compiles
    const auto start = Clock::now();
    std::int64_t runs = 0;
    do {
        run();
        ++runs;
    } while (seconds_since(start) < seconds);
    return 2 * static_cast<double>(runs * rows * n_in) * static_cast<double>(n_out) / seconds_since(start);
}

double read_rate(const gguf::File& file) {
    // Long enough to mean something, short beside the reading that it foretells.
    constexpr std::size_t kLeast = std::size_t{8} << 20, kMost = std::size_t{64} << 20;
    const MappedFile& shard = file.shard(0);
    const std::size_t part = std::clamp(shard.bytes().size() / 100, kLeast, kMost);
    const std::size_t size =
        std::min(part, shard.bytes().size()) / DirectFile::kAlignment * DirectFile::kAlignment;
    if (size == 0) return 1e9;
    const DirectFile direct(shard.path());
    const PageMemory memory(size);
    const auto start = Clock::now();
    direct.read(0, memory.bytes());
    return static_cast<double>(size) / seconds_since(start);
}

}  // namespace assay::plan
