#include "calibrate/sensitivity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <fmt/format.h>
#include <optional>

#include "calibrate/check_tensors.h"
#include "calibrate/chunks.h"
#include "calibrate/devices.h"
#include "calibrate/memory.h"
#include "calibrate/rounding.h"
#include "core/error.h"
#include "engine/pass.h"
#include "model/registry.h"
#include "recipe/rules.h"

namespace assay::calibrate {

namespace {

using Clock = std::chrono::steady_clock;

/// Thrown from the progress callback to leave a sweep that the user no longer wants.
struct Stopped {};

/// A pass that scores nothing of so few tokens.
constexpr std::int64_t kLeastContext = 3;

imatrix::Matrix load_matrix(const SensitivityOptions& options, Observer& observer) {
    if (options.matrix.empty()) return imatrix::Matrix();
    observer.on_loading(options.matrix);
    imatrix::Notes notes;
    imatrix::Matrix matrix = imatrix::load(options.matrix, {}, notes);
    for (const std::string& note : notes) observer.on_note(note);
    return matrix;
}

/// Sums per variant and chunk, so that the total does not depend on which sweep gave which.
class Sink final : public engine::VariantSink {
  public:
    explicit Sink(std::size_t n_variants) : chunks_(n_variants) {}

    /// Variants of the sweep to come begin at this one.
    void begin_sweep(std::size_t first_variant) { first_ = first_variant; }
    void on_variant(const engine::VariantChunk& chunk) override {
        perplexity::PairedSums sums;
        for (const backend::Divergence& row : chunk.positions)
            sums.add(row.reference_loss, row.loss, row.divergence);
        if (!std::isfinite(sums.reference + sums.difference + sums.divergence))
            throw_error(ErrorKind::Numeric, "sensitivity",
                        "the losses of chunk {} hold NaN or infinity; the model file is broken or its "
                        "architecture is not run as it was meant",
                        chunk.chunk + 1);
        chunks_[first_ + static_cast<std::size_t>(chunk.variant)].push_back(sums);
    }
    perplexity::PairedSums total(std::size_t variant, std::int64_t n_chunks) const {
        perplexity::PairedSums sums;
        for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk)
            sums.merge(chunks_[variant][static_cast<std::size_t>(chunk)]);
        return sums;
    }

  private:
    std::vector<std::vector<perplexity::PairedSums>> chunks_;
    std::size_t first_ = 0;
};

class Run {
  public:
    Run(const SensitivityOptions& options, Observer& observer)
        : options_(options),
          observer_(observer),
          file_(gguf::File::open(options.run.model, options.run.metadata)),
          program_(model::build(file_, {options.run.n_ctx})),
          rounding_(plan_rounding(file_, program_, options.by, options.types)),
          matrix_(load_matrix(options, observer)),
          chunks_(tokenize(file_, options.run, observer)),
          pool_(std::move(computing_threads(options.run, {device()}).front())),
          rounding_pool_(pool_->size()),
          backend_(
              backend::open({device(), options.run.precision, options.run.isa, options.run.n_ctx}, *pool_)),
          pass_plan_(file_, program_, *backend_,
                     {.n_ctx = options.run.n_ctx, .observed_output = {}, .losses = true, .sums = false}),
          rounder_(file_, matrix_, rounding_pool_),
          sink_(rounding_.units.size()) {
        for (const RoundedUnit& unit : rounding_.units)
            variants_.emplace_back(unit.tensors, unit.type, rounder_);
    }

    SensitivityResult run();

  private:
    /// The first of those asked for.
    std::string device() const {
        return backend::list_devices(options_.run.device, options_.run.main_device).front();
    }
    SweepPlan plan() const;
    void tell_unrounded();
    void announce(const SweepPlan& plan);
    void run_wave(std::int64_t first, std::int64_t count, const SweepPlan& plan);
    perplexity::Sensitivity table() const;

    const SensitivityOptions& options_;
    Observer& observer_;
    gguf::File file_;
    model::Program program_;
    RoundingPlan rounding_;
    imatrix::Matrix matrix_;
    Chunks chunks_;
    std::unique_ptr<ThreadPool> pool_;
    ThreadPool rounding_pool_;  ///< rounds the next layer while this one computes
    std::unique_ptr<backend::Backend> backend_;
    plan::PassPlan pass_plan_;
    std::optional<engine::Pass> pass_;
    Rounder rounder_;
    std::deque<Rounding> variants_;
    Sink sink_;
    std::int64_t chunks_done_ = 0;
    Clock::time_point start_ = Clock::now();
};

SweepPlan Run::plan() const {
    const auto n_projections = std::ranges::count_if(rounding_.units, [&](const RoundedUnit& unit) {
        return unit.tensors.contains(program_.output.linear.weight.name);
    });
    MemoryNeeds needs;
    needs.file_bytes = file_.size_bytes();
    double rounded = 0;  // bytes of a weight
    for (const quant::TypeId id : options_.types) {
        const quant::TypeInfo& type = quant::type_info(id);
        rounded = std::max(rounded, static_cast<double>(type.block_bytes) / static_cast<double>(type.block));
    }
    needs.weight_bytes = pass_plan_.variant_weight_bytes(n_projections, rounded);
    needs.workspace_bytes = pass_plan_.workspace_bytes();
    needs.bytes_per_chunk = pass_plan_.bytes_per_chunk();
    needs.stream_bytes = pass_plan_.stream_bytes();
    return plan_sweeps(needs, memory_bound(options_.run.memory_bytes), chunks_.n_chunks,
                       static_cast<std::int64_t>(variants_.size()));
}

void Run::tell_unrounded() {
    for (const perplexity::Unrounded& type : rounding_.unrounded) {
        std::map<std::string, std::uint64_t> kinds;
        for (const std::string& name : type.tensors)
            kinds[recipe::split_block(name).kind] = file_.get(name).ne[0];
        std::string text;
        for (const auto& [kind, n_in] : kinds)
            text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", kind, n_in);
        observer_.on_note(
            fmt::format("{} tensors stay as they are, their rows are no multiple of the block of {}: {}",
                        type.tensors.size(), type.type, text));
    }
}

void Run::announce(const SweepPlan& plan) {
    Plan shown;
    shown.model_name = program_.name.empty() ? options_.run.model.filename().string() : program_.name;
    shown.architecture = program_.architecture;
    shown.backends = {backend_->description()};
    shown.n_layers = static_cast<std::int64_t>(program_.layers.size());
    shown.n_tokens = chunks_.n_tokens;
    shown.n_chunks = chunks_.n_chunks;
    shown.n_ctx = options_.run.n_ctx;
    shown.overrides = gguf::describe_overrides(file_.metadata()).read;
    shown.wave_chunks = plan.wave_chunks;
    shown.model_bytes = file_.size_bytes();
    shown.memory_bytes = plan.peak_bytes;
    shown.streamed = plan.streamed;
    shown.read_bytes = pass_plan_.read_bytes_per_wave() * static_cast<std::uint64_t>(plan.n_sweeps);
    shown.context_train = program_.context_length;
    shown.n_variants = static_cast<std::int64_t>(variants_.size());
    shown.n_sweeps = plan.n_sweeps;
    observer_.on_plan(shown);
}

void Run::run_wave(std::int64_t first, std::int64_t count, const SweepPlan& plan) {
    const auto n_variants = static_cast<std::int64_t>(variants_.size());
    for (std::int64_t begin = 0; begin < n_variants; begin += plan.variants) {
        const std::int64_t end = std::min(n_variants, begin + plan.variants);
        std::vector<engine::Replacement*> sweep;
        for (std::int64_t v = begin; v < end; ++v) sweep.push_back(&variants_[static_cast<std::size_t>(v)]);
        const auto progress = [&](std::int64_t steps, double part) {
            Progress shown;
            shown.chunks_done = first;
            shown.chunks_in_wave = count;
            shown.layers_done = steps;
            shown.n_layers = pass_plan_.n_steps();
            const double in_wave = (static_cast<double>(begin) + part * static_cast<double>(end - begin)) /
                                   static_cast<double>(n_variants);
            shown.work_done = (static_cast<double>(first) + in_wave * static_cast<double>(count)) /
                              static_cast<double>(chunks_.n_chunks);
            shown.elapsed_seconds = std::chrono::duration<double>(Clock::now() - start_).count();
            shown.tokens_per_second = shown.work_done *
                                      static_cast<double>(chunks_.n_chunks * options_.run.n_ctx) /
                                      shown.elapsed_seconds;
            observer_.on_progress(shown);
            if (observer_.stop_requested()) throw Stopped{};
        };
        sink_.begin_sweep(static_cast<std::size_t>(begin));
        pass_->run_variants(
            {first, count, chunks_.input_range(first, count), chunks_.target_range(first, count)}, sweep,
            sink_, progress);
    }
    chunks_done_ = first + count;
}

perplexity::Sensitivity Run::table() const {
    perplexity::Sensitivity table;
    table.model = program_.name.empty() ? options_.run.model.filename().string() : program_.name;
    table.architecture = program_.architecture;
    table.by = to_string(options_.by);
    table.n_ctx = options_.run.n_ctx;
    table.n_chunks = chunks_done_;
    table.unrounded = rounding_.unrounded;
    for (std::size_t v = 0; v < rounding_.units.size() && chunks_done_ > 0; ++v) {
        const RoundedUnit& unit = rounding_.units[v];
        const perplexity::PairedSums sums = sink_.total(v, chunks_done_);
        table.positions = sums.count;
        table.perplexity = sums.reference_perplexity();
        table.units.push_back({unit.unit,
                               std::string(quant::type_info(unit.type).name),
                               {unit.tensors.begin(), unit.tensors.end()},
                               unit.weights,
                               sums.perplexity_change(),
                               sums.mean_divergence()});
    }
    return table;
}

SensitivityResult Run::run() {
    if (options_.run.n_ctx < kLeastContext)
        throw_error(ErrorKind::Usage, "--ctx-size", "{} tokens leave none to be scored, {} are the least",
                    options_.run.n_ctx, kLeastContext);
    if (chunks_.n_chunks == 0) throw Error(ErrorKind::Usage, "--chunks", "0 leave nothing to compare");
    if (options_.run.check_tensors) check_tensors(file_, all_tensors(file_), options_.run.n_threads);
    const SweepPlan sweeps = plan();
    pass_.emplace(pass_plan_, *backend_, engine::Placement{.stream = sweeps.streamed, .spill_folder = {}});
    tell_unrounded();
    announce(sweeps);
    start_ = Clock::now();
    SensitivityResult result;
    try {
        for (std::int64_t first = 0; first < chunks_.n_chunks; first += sweeps.wave_chunks)
            run_wave(first, std::min(sweeps.wave_chunks, chunks_.n_chunks - first), sweeps);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::Numeric)
            check_tensors(file_, all_tensors(file_), options_.run.n_threads);
        throw;
    } catch (const Stopped&) {
        result.stopped = chunks_done_ < chunks_.n_chunks;
    }
    result.table = table();
    result.tokens = chunks_done_ * options_.run.n_ctx;
    result.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    return result;
}

}  // namespace

SensitivityResult run_sensitivity(const SensitivityOptions& options, Observer& observer) {
    return Run(options, observer).run();
}

}  // namespace assay::calibrate
