#include "calibrate/variant_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "calibrate/check_tensors.h"
#include "calibrate/devices.h"
#include "calibrate/text_chunks.h"
#include "core/error.h"

namespace assay::calibrate {

namespace {

/// A pass that scores nothing of so few tokens.
constexpr std::int64_t kLeastContext = 3;

double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The first of those asked for.
std::string device_of(const Options& options) {
    return backend::list_devices(options.device, options.main_device).front();
}

Chunks scored_chunks(const gguf::File& file, const Options& options, Observer& observer) {
    if (options.n_ctx < kLeastContext)
        throw_error(ErrorKind::Usage, "--ctx-size", "{} tokens leave none to be scored, {} are the least",
                    options.n_ctx, kLeastContext);
    Chunks chunks = chunks_of(file, options, observer);
    if (chunks.n_chunks() == 0) throw Error(ErrorKind::Usage, "--chunks", "0 leave nothing to compare");
    return chunks;
}

/// What one sweep leaves, with the variants' numbers in the whole run. Refuses what is no number.
class SweepSink final : public engine::VariantSink {
  public:
    SweepSink(engine::VariantSink& sink, std::int64_t first_variant) : sink_(sink), first_(first_variant) {}
    void on_variant(const engine::VariantChunk& chunk) override {
        for (const backend::Divergence& row : chunk.positions)
            if (!std::isfinite(row.reference_loss + row.loss + row.divergence))
                throw_error(ErrorKind::Numeric, "losses",
                            "those of chunk {} hold NaN or infinity; a model file is broken or its "
                            "architecture is not run as it was meant",
                            chunk.chunk + 1);
        sink_.on_variant({first_ + chunk.variant, chunk.chunk, chunk.positions});
    }

  private:
    engine::VariantSink& sink_;
    const std::int64_t first_;
};

}  // namespace

VariantRun::VariantRun(const gguf::File& file, const model::Program& program, const Options& options,
                       Observer& observer)
    : file_(file),
      program_(program),
      options_(options),
      observer_(observer),
      chunks_(scored_chunks(file, options, observer)),
      pool_(std::move(computing_threads(options, {device_of(options)}).front())),
      backend_(
          options.open_backend({device_of(options), options.precision, options.isa, options.n_ctx}, *pool_)),
      plan_(plan_of(file, program)) {}

plan::PassPlan VariantRun::plan_of(const gguf::File& file, const model::Program& program) const {
    return {file,
            program,
            *backend_,
            {.n_ctx = options_.n_ctx, .observed_output = {}, .losses = true, .sums = false}};
}

std::vector<const gguf::File*> VariantRun::files(const Variants& variants) const {
    std::vector<const gguf::File*> files{&file_};
    for (const engine::Variant& variant : variants.all)
        if (variant.plan != nullptr) files.push_back(&variant.plan->file());
    return files;
}

SweepPlan VariantRun::plan_for(const Variants& variants) const {
    MemoryNeeds needs;
    needs.stream_bytes = plan_.stream_bytes();
    std::int64_t n_projections = variants.n_projections;
    for (const gguf::File* file : files(variants)) needs.file_bytes += file->size_bytes();
    for (const engine::Variant& variant : variants.all) {
        if (variant.plan == nullptr) continue;
        ++n_projections;
        needs.stream_bytes = std::max(needs.stream_bytes, variant.plan->stream_bytes());
    }
    needs.weight_bytes = plan_.variant_weight_bytes(n_projections, variants.bytes_per_weight);
    needs.workspace_bytes = plan_.workspace_bytes();
    needs.bytes_per_chunk = plan_.bytes_per_chunk();
    return plan_sweeps(needs, {memory_bound(options_.memory_bytes), backend_->room_bytes()},
                       chunks_.n_chunks(), std::ssize(variants.all));
}

void VariantRun::announce(const Variants& variants, const SweepPlan& plan) {
    Plan shown;
    shown.model_name = program_.name.empty() ? options_.model.filename().string() : program_.name;
    shown.architecture = program_.architecture;
    shown.backends = {backend_->description()};
    shown.n_layers = std::ssize(program_.layers);
    shown.n_tokens = chunks_.n_tokens;
    shown.n_chunks = chunks_.n_chunks();
    shown.n_ctx = options_.n_ctx;
    shown.overrides = gguf::describe_overrides(file_.metadata()).read;
    shown.wave_chunks = plan.wave_chunks;
    shown.memory_bytes = plan.host_bytes;
    shown.device_bytes = plan.device_bytes;
    shown.streamed = plan.streamed;
    for (const gguf::File* file : files(variants)) shown.model_bytes += file->size_bytes();
    const auto n_waves =
        static_cast<std::uint64_t>((chunks_.n_chunks() + plan.wave_chunks - 1) / plan.wave_chunks);
    shown.read_bytes = plan_.read_bytes_per_wave() * static_cast<std::uint64_t>(plan.n_sweeps);
    for (const engine::Variant& variant : variants.all)
        if (variant.plan != nullptr) shown.read_bytes += variant.plan->read_bytes_per_wave() * n_waves;
    shown.context_train = program_.context_length;
    shown.n_variants = std::ssize(variants.all);
    shown.n_sweeps = plan.n_sweeps;
    observer_.on_plan(shown);
}

double VariantRun::elapsed_seconds() const { return now_seconds() - start_seconds_; }

void VariantRun::run_wave(std::int64_t first, std::int64_t count, const Variants& variants,
                          const SweepPlan& plan, engine::VariantSink& sink) {
    const std::int64_t n_variants = std::ssize(variants.all);
    for (std::int64_t begin = 0; begin < n_variants; begin += plan.variants) {
        const std::int64_t end = std::min(n_variants, begin + plan.variants);
        const auto progress = [&](std::int64_t steps, double part) {
            Progress shown;
            shown.chunks_done = first;
            shown.chunks_in_wave = count;
            shown.layers_done = steps;
            shown.n_layers = plan_.n_steps();
            const double in_wave = (static_cast<double>(begin) + part * static_cast<double>(end - begin)) /
                                   static_cast<double>(n_variants);
            shown.work_done = (static_cast<double>(first) + in_wave * static_cast<double>(count)) /
                              static_cast<double>(chunks_.n_chunks());
            shown.elapsed_seconds = elapsed_seconds();
            shown.tokens_per_second =
                shown.work_done * static_cast<double>(chunks_.starts.back()) / shown.elapsed_seconds;
            observer_.on_progress(shown);
            if (observer_.stop_requested()) throw Stopped{};
        };
        SweepSink sweep(sink, begin);
        pass_->run_variants(
            chunks_.wave(first, count),
            std::span(variants.all)
                .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
            sweep, progress);
    }
}

VariantsDone VariantRun::run(const Variants& variants, engine::VariantSink& sink) {
    const SweepPlan sweeps = plan_for(variants);
    pass_.emplace(plan_, *backend_, engine::Placement{.stream = sweeps.streamed, .spill_folder = {}});
    announce(variants, sweeps);
    start_seconds_ = now_seconds();
    VariantsDone done;
    try {
        while (done.n_chunks < chunks_.n_chunks()) {
            const std::int64_t count = std::min(sweeps.wave_chunks, chunks_.n_chunks() - done.n_chunks);
            run_wave(done.n_chunks, count, variants, sweeps, sink);
            done.n_chunks += count;
        }
    } catch (const Error& error) {
        for (const gguf::File* file : files(variants))
            if (error.kind() == ErrorKind::Numeric)
                check_tensors(*file, all_tensors(*file), options_.n_threads);
        throw;
    } catch (const Stopped&) {
        done.stopped = done.n_chunks < chunks_.n_chunks();
    }
    done.tokens = chunks_.tokens_of(0, done.n_chunks);
    done.seconds = elapsed_seconds();
    return done;
}

}  // namespace assay::calibrate
