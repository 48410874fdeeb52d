#include "engine/pass.h"

#include <chrono>
#include <utility>

#include "engine/wave_run.h"

namespace assay::engine {

namespace {

/// Nothing is observed in a run of variants.
class NoSink final : public ActivationSink {
  public:
    std::vector<backend::Totals> on_input(const InputSums&) override { return {}; }
    void on_similarity(const SimilaritySums&) override {}
    void on_losses(const ChunkLosses&) override {}
};

}  // namespace

Pass::Pass(const plan::PassPlan& plan, backend::Backend& backend, Placement placement)
    : plan_(plan), backend_(backend), placement_(std::move(placement)) {
    if (!placement_.stream) return;
    // What is still read through the mapping, embedding rows above all, lies scattered.
    for (std::size_t shard = 0; shard < plan_.file().n_shards(); ++shard)
        plan_.file().shard(shard).expect_scattered_reads();
}

std::vector<std::unique_ptr<gguf::StreamReader>> Pass::open_streams(const Wave& wave,
                                                                    std::size_t n_passes) const {
    if (!placement_.stream || kept_.size() == plan_.pieces().size())
        return std::vector<std::unique_ptr<gguf::StreamReader>>(n_passes);
    std::vector<std::vector<gguf::TensorRange>> reads;
    for (const plan::Piece& piece : plan_.pieces())
        if (piece.stage >= first_stage(wave)) reads.push_back(piece.reads);
    return gguf::open_stream(plan_.file(), reads, n_passes * plan_.stream_bytes(), n_passes);
}

void Pass::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress) {
    run(wave, sink, progress, std::move(open_streams(wave, 1).front()), nullptr);
}

void Pass::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress,
               std::unique_ptr<gguf::StreamReader> reader, Turns* turns) {
    try {
        run_wave(
            wave, {}, sink, nullptr, [&](std::int64_t steps, double) { progress(steps); }, std::move(reader),
            turns);
    } catch (...) {
        parcels_.clear();  // the caller may try a smaller wave
        throw;
    }
}

void Pass::run_variants(const Wave& wave, std::span<Replacement* const> variants, VariantSink& sink,
                        const std::function<void(std::int64_t, double)>& progress) {
    NoSink no_sink;
    run_wave(wave, variants, no_sink, &sink, progress, std::move(open_streams(wave, 1).front()), nullptr);
}

/// Only a wave through all stages takes all units.
KeptUnits* Pass::kept_units(const Wave& wave, bool has_variants) {
    return placement_.keep_weights && !has_variants && first_stage(wave) == 0 ? &kept_ : nullptr;
}

void Pass::run_wave(const Wave& wave, std::span<Replacement* const> variants, ActivationSink& sink,
                    VariantSink* variant_sink, const std::function<void(std::int64_t, double)>& progress,
                    std::unique_ptr<gguf::StreamReader> reader, Turns* turns) {
    const auto start = std::chrono::steady_clock::now();
    WaveRun run(plan_, backend_, placement_, wave, variants);
    // Beside other passes, sums wait for their turn without holding the operations up.
    const std::uint64_t waiting =
        turns != nullptr ? plan_.waiting_bytes_per_chunk() * static_cast<std::uint64_t>(wave.n_chunks) : 0;
    Delivery delivery(backend_, sink, parcels_, plan_.delivery_bytes() + waiting, turns);
    Loader loader(plan_.file(), run.jobs(), {plan_.pieces_ahead(), kept_units(wave, !variants.empty())},
                  std::move(reader));
    run.run(loader, delivery, progress);
    delivery.finish();
    if (variant_sink != nullptr) run.deliver_divergences(*variant_sink);
    progress(plan_.n_steps(), 1);
    backend_.synchronize();
    times_.waiting_for_weights += loader.waited_seconds();
    times_.reading += loader.reading_seconds();
    times_.waiting_for_sink += delivery.waited_seconds();
    times_.total += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace assay::engine
