// pass_bench MODEL TEXT [CHUNKS [PRECISION [DEVICE [documents]]]]
// One pass over the text: tokens/s, GFLOP/s, time per stage, and the share of the rate that bare products of
// the same shapes reach on the same threads in the same run. Checks the perplexity to be a number.
// documents: so many of 40 to 4,000 tokens, and their speed beside that of equal chunks with as many.
#include <cmath>
#include <fmt/format.h>
#include <random>

#include "backend/open.h"
#include "calibrate/collector.h"
#include "calibrate/text_chunks.h"
#include "core/error.h"
#include "core/file.h"
#include "core/processors.h"
#include "engine/pass.h"
#include "model/registry.h"
#include "model/visit.h"
#include "plan/estimate.h"
#include "timed_backend.h"

namespace assay::bench {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Products of a dense layer, each with its share of the layer's operations; the harmonic mean is the rate
/// that a pass of nothing but products would have.
double layer_rate(backend::Backend& backend, const model::Layer& layer) {
    std::vector<std::pair<std::int64_t, std::int64_t>> shapes;
    for (const model::Stage& stage : layer.stages)
        for (const model::Step& step : stage.steps) {
            const model::ObservedInput input = model::observed_input(step.operation);
            std::int64_t n_out = 0;
            for (const model::Linear* linear : input.linears) n_out += linear->weight.n_out;
            if (input.x.present() && !input.precise) shapes.emplace_back(input.x.cols, n_out);
        }
    double flop = 0, seconds = 0;
    for (const auto& [n_in, n_out] : shapes) {
        const double rate = 1e-9 * plan::product_rate(backend, n_in, n_out, 0.25);
        fmt::print("  product {:>6} x {:<6} alone {:>8.0f} GFLOP/s\n", n_in, n_out, rate);
        flop += static_cast<double>(n_in * n_out);
        seconds += static_cast<double>(n_in * n_out) / rate;
    }
    return flop / seconds;
}

/// One pass over all chunks; returns tokens a second.
double run_pass(const gguf::File& file, const calibrate::Options& options, const calibrate::Chunks& chunks) {
    const model::Program program = model::build(file, {chunks.n_ctx});
    ThreadPool pool(available_processors());
    const auto backend = backend::open({options.device, options.precision, {}, chunks.n_ctx}, pool);
    fmt::print("{}\n", backend->description());
    const double reference = layer_rate(*backend, program.layers.front());

    TimedBackend timed(*backend);
    plan::PassOptions pass_options;
    pass_options.n_ctx = chunks.n_ctx;
    pass_options.unequal = !chunks.are_plain();
    const plan::PassPlan plan(file, program, timed, pass_options);
    engine::Pass pass(plan, timed, {});
    imatrix::Matrix empty;
    calibrate::Collector collector(std::move(empty));
    const auto start = Clock::now();
    pass.run(chunks.wave(0, chunks.n_chunks()), collector, [](std::int64_t) {});
    const double seconds = seconds_since(start);
    collector.commit();

    perplexity::Sums losses;
    for (const auto& chunk : collector.committed().chunk_losses) losses.merge(chunk);
    if (!std::isfinite(losses.running()))
        throw_error(ErrorKind::Numeric, options.model.string(), "perplexity is {}", losses.running());
    double flop = 0;
    for (std::size_t i = 0; i < kStageNames.size(); ++i) {
        const StageTotal& total = timed.total(static_cast<Stage>(i));
        if (total.seconds == 0) continue;
        flop += total.flop;
        fmt::print("  {:<12} {:>8.3f} s {:>5.1f} % {:>8.0f} GFLOP/s\n", kStageNames[i], total.seconds,
                   100 * total.seconds / seconds, 1e-9 * total.flop / total.seconds);
    }
    const double waited = pass.times().waiting_for_weights;
    fmt::print("  {:<12} {:>8.3f} s {:>5.1f} %\n", "weights", waited, 100 * waited / seconds);
    const double held_back = pass.times().waiting_for_sink;
    fmt::print("  {:<12} {:>8.3f} s {:>5.1f} %\n", "sink", held_back, 100 * held_back / seconds);
    const auto tokens = static_cast<double>(chunks.starts.back());
    fmt::print(
        "perplexity {:.4f}; {:.0f} tokens in {} chunks in {:.2f} s: {:.0f} tokens/s, {:.0f} GFLOP/s, {:.0f} "
        "% of {:.0f} GFLOP/s that the products alone reach\n",
        losses.running(), tokens, chunks.n_chunks(), seconds, tokens / seconds, 1e-9 * flop / seconds,
        100 * 1e-9 * flop / seconds / reference, reference);
    return tokens / seconds;
}

/// Chunks of these lengths from the tokens of a text, which is gone through again where it ends.
calibrate::Chunks cut(const std::vector<std::int32_t>& text, const std::vector<std::int64_t>& lengths) {
    calibrate::Chunks chunks;
    chunks.starts = {0};
    for (const std::int64_t length : lengths) {
        chunks.n_ctx = std::max(chunks.n_ctx, length);
        chunks.starts.push_back(chunks.starts.back() + length);
    }
    for (std::int64_t i = 0; i < chunks.starts.back(); ++i)
        chunks.targets.push_back(text[static_cast<std::size_t>(i) % text.size()]);
    chunks.inputs = chunks.targets;
    chunks.scored = engine::ScoredTokens::AllButFirst;
    return chunks;
}

/// Documents of 40 to 4,000 tokens, against as many chunks of their mean length.
void run_documents(const gguf::File& file, const calibrate::Options& options,
                   const std::vector<std::int32_t>& text) {
    std::mt19937 random(11);
    std::uniform_int_distribution<std::int64_t> length(40, 4000);
    std::vector<std::int64_t> lengths;
    for (std::int64_t i = 0; i < options.max_chunks; ++i) lengths.push_back(length(random));
    const calibrate::Chunks documents = cut(text, lengths);
    const std::int64_t mean = documents.starts.back() / options.max_chunks;
    const calibrate::Chunks equal = cut(text, std::vector<std::int64_t>(lengths.size(), mean));
    const double usual = run_pass(file, options, equal);
    fmt::print("documents: {:.1f} % of that speed\n", 100 * run_pass(file, options, documents) / usual);
}

int run(int argc, char** argv) {
    if (argc < 3)
        throw_error(ErrorKind::Usage, "pass_bench", "MODEL TEXT [CHUNKS [PRECISION [DEVICE [documents]]]]");
    calibrate::Options options;
    options.model = argv[1];
    options.text = read_file(argv[2]);
    options.max_chunks = argc > 3 ? std::stol(argv[3]) : 10;
    if (argc > 4 && std::string(argv[4]) == "f32") options.precision = backend::Precision::F32;
    if (argc > 5) options.device = argv[5];

    const gguf::File file = gguf::File::open(options.model);
    const auto tokenizer = tokenizer::make_tokenizer(file.metadata());
    auto tokens = tokenizer->encode(options.text, {});
    if (argc > 6)
        run_documents(file, options, tokens);
    else
        run_pass(file, options, calibrate::make_chunks(std::move(tokens), tokenizer->vocabulary(), options));
    return 0;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
    try {
        return assay::bench::run(argc, argv);
    } catch (const std::exception& error) {
        fmt::print(stderr, "pass_bench: {}\n", error.what());
        return 1;
    }
}
