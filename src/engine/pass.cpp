#include "engine/pass.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/wave_run.h"

namespace assay::engine {

namespace {

/// Nothing is observed in a run of variants.
class NoSink final : public ActivationSink {
  public:
    backend::Totals on_input(const InputSums&) override { return {}; }
    void on_similarity(const SimilaritySums&) override {}
    void on_losses(const ChunkLosses&) override {}
};

/// What is read through the mapping where weights are streamed, embedding rows above all, lies scattered.
void expect_scattered_reads(const gguf::File& file) {
    for (std::size_t shard = 0; shard < file.n_shards(); ++shard) file.shard(shard).expect_scattered_reads();
}

}  // namespace

Pass::Pass(const plan::PassPlan& plan, backend::Backend& backend, Placement placement)
    : plan_(plan), backend_(backend), placement_(std::move(placement)) {
    if (placement_.stream) expect_scattered_reads(plan_.file());
}

std::vector<std::unique_ptr<gguf::StreamReader>> Pass::open_streams(const Wave& wave,
                                                                    std::size_t n_passes) const {
    const bool kept = kept_.size() == plan_.pieces().size();
    if (kept && placement_.shared != nullptr) placement_.shared->retire();
    if (kept || !placement_.stream) return std::vector<std::unique_ptr<gguf::StreamReader>>(n_passes);
    std::vector<gguf::FileRanges> reads;
    for (const plan::Piece& piece : plan_.pieces())
        if (piece.stage >= first_stage(wave)) reads.push_back({&plan_.file(), piece.reads});
    // Who cannot take part in what is shared has this rank's share of it.
    const std::size_t sharing = placement_.shared != nullptr ? placement_.shared->n_ranks() : 1;
    return gguf::open_stream(std::move(reads), n_passes * plan_.stream_bytes() / sharing, n_passes,
                             placement_.shared);
}

std::unique_ptr<gguf::StreamReader> Pass::open_variant_stream(const std::vector<weights::Job>& jobs,
                                                              std::span<const Variant> variants) const {
    if (!placement_.stream) return nullptr;
    std::uint64_t bound_bytes = plan_.stream_bytes();
    for (const Variant& variant : variants) {
        if (variant.plan == nullptr) continue;
        expect_scattered_reads(variant.plan->file());
        bound_bytes = std::max(bound_bytes, variant.plan->stream_bytes());
    }
    std::vector<gguf::FileRanges> reads;
    for (const weights::Job& job : jobs)
        if (!job.reuses_reads) reads.push_back(job.reads);
    return std::move(gguf::open_stream(std::move(reads), bound_bytes, 1).front());
}

void Pass::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress) {
    run(wave, sink, progress, std::move(open_streams(wave, 1).front()));
}

void Pass::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress,
               std::unique_ptr<gguf::StreamReader> reader) {
    try {
        run_wave(
            wave, {}, sink, nullptr, [&](std::int64_t steps, double) { progress(steps); }, std::move(reader));
    } catch (...) {
        parcels_.clear();  // the caller may try a smaller wave
        throw;
    }
}

void Pass::run_variants(const Wave& wave, std::span<const Variant> variants, VariantSink& sink,
                        const std::function<void(std::int64_t, double)>& progress) {
    NoSink no_sink;
    run_wave(wave, variants, no_sink, &sink, progress, nullptr);
}

/// Only a wave through all stages takes all units.
weights::KeptUnits* Pass::kept_units(const Wave& wave, bool has_variants) {
    return placement_.keep_weights && !has_variants && first_stage(wave) == 0 ? &kept_ : nullptr;
}

void Pass::run_wave(const Wave& wave, std::span<const Variant> variants, ActivationSink& sink,
                    VariantSink* variant_sink, const std::function<void(std::int64_t, double)>& progress,
                    std::unique_ptr<gguf::StreamReader> reader) {
    const auto start = std::chrono::steady_clock::now();
    WaveRun run(plan_, backend_, placement_, wave, variants);
    Delivery delivery(backend_, sink, parcels_, plan_.delivery_bytes());
    std::vector<weights::Job> jobs = run.jobs();
    if (variant_sink != nullptr) reader = open_variant_stream(jobs, variants);
    weights::Loader loader(std::move(jobs), {plan_.pieces_ahead(), kept_units(wave, !variants.empty())},
                           std::move(reader));
    run.run(loader, delivery, progress);
    delivery.finish();
    if (variant_sink != nullptr) run.deliver_divergences(*variant_sink);
    progress(plan_.n_steps(), 1);
    backend_.synchronize();
    times_.waiting_for_weights += loader.waited_seconds();
    times_.reading += loader.read_from_disk().seconds;
    times_.read_bytes += loader.read_from_disk().bytes;
    times_.waiting_for_sink += delivery.waited_seconds();
    times_.total += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace assay::engine
