#include "calibrate/job.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

#include "calibrate/chunks.h"
#include "calibrate/collector.h"
#include "calibrate/devices.h"
#include "calibrate/extra.h"
#include "calibrate/schedule.h"
#include "core/error.h"
#include "core/file.h"
#include "engine/estimate.h"
#include "model/registry.h"

namespace assay::calibrate {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A pass reaches about this share of what its products reach alone.
constexpr double kShareOfProducts = 0.75;
constexpr double kProbeSeconds = 0.05;
constexpr std::int64_t kProbeWidth = 2048;

/// Thrown from the progress callback to leave a wave that the user no longer wants.
struct Stopped {};

imatrix::Matrix load_start(const Options& options, Observer& observer) {
    imatrix::Matrix start;
    imatrix::Notes notes;
    for (const auto& path : options.in_files) {
        observer.on_loading(path);
        const imatrix::Matrix loaded =
            imatrix::load(path, {static_cast<std::uint32_t>(options.n_ctx)}, notes);
        imatrix::merge(start, loaded, notes);
    }
    for (const std::string& note : notes) observer.on_note(note);
    if (!options.dataset.empty()) start.datasets.push_back(options.dataset);
    start.chunk_size = static_cast<std::uint32_t>(options.n_ctx);
    start.recount_chunks();
    return start;
}

class Run {
  public:
    Run(const Options& options, Observer& observer)
        : options_(options),
          observer_(observer),
          format_(imatrix::format_for(options.output, options.format)),
          file_(gguf::File::open(options.model, options.metadata)),
          spec_(model::build(file_, {options.n_ctx})),
          devices_(options),
          collector_(load_start(options, observer)),
          chunks_(tokenize(file_, options, observer)),
          team_(file_, spec_, devices_.backends(), pass_options()) {}

    Result run();

  private:
    engine::PassOptions pass_options() const {
        engine::PassOptions options;
        options.n_ctx = options_.n_ctx;
        if (options_.process_output) options.observed_output = options_.output_tensor_name;
        options.losses = options_.perplexity;
        options.similarity = options_.similarity;
        return options;
    }
    /// What to go on with after this wave did not fit. Rethrows where fewer chunks cannot help.
    std::int64_t smaller_wave(std::int64_t count, const Error& error);
    void prepare(const WavePlan& plan);
    double expected_seconds(const Plan& plan);
    void announce(const WavePlan& plan, std::int64_t n_waves);
    void run_wave(std::int64_t first, std::int64_t count);
    void report_losses(std::int64_t first);
    void save(const std::filesystem::path& path);
    /// Where the disk refuses this the run goes on: its sums are in memory, and the last save may succeed.
    void save_meanwhile(const std::filesystem::path& path);
    /// Moves what was collected into the result.
    void finish(Result& result);

    const Options& options_;
    Observer& observer_;
    imatrix::Format format_;
    gguf::File file_;
    model::ModelSpec spec_;
    Devices devices_;
    Collector collector_;
    Chunks chunks_;
    engine::Team team_;
    std::int64_t chunks_done_ = 0;
    bool wave_halved_ = false;
    perplexity::Sums losses_;
    Clock::time_point start_ = Clock::now();
};

void Run::prepare(const WavePlan& plan) {
    if (plan.streamed) team_.stream_weights();
    if (plan.weights_kept) team_.keep_weights();
    if (plan.spilled_bytes > 0) team_.spill_states(options_.spill_folder);
}

double Run::expected_seconds(const Plan& plan) {
    const double flop = engine::flop_per_token(spec_, options_.n_ctx, options_.perplexity) *
                        static_cast<double>(chunks_.n_chunks * options_.n_ctx);
    const std::int64_t width = std::min(spec_.hidden, kProbeWidth);
    const auto backends = devices_.backends();
    try {
        const double rate = kShareOfProducts * static_cast<double>(backends.size()) *
                            engine::product_rate(*backends.front(), width, width, kProbeSeconds);
        const double reading =
            plan.streamed ? static_cast<double>(plan.read_bytes) / engine::read_rate(file_) : 0.0;
        return std::max(flop / rate, reading);
    } catch (const Error&) {
        return 0;  // the run itself will say what is wrong, or find that a smaller wave fits
    }
}

void Run::announce(const WavePlan& plan, std::int64_t n_waves) {
    Plan shown;
    shown.model_name = spec_.name.empty() ? options_.model.filename().string() : spec_.name;
    shown.architecture = spec_.architecture;
    for (const backend::Backend* backend : devices_.backends())
        shown.backends.push_back(backend->description());
    shown.n_layers = static_cast<std::int64_t>(spec_.layers.size());
    shown.n_tokens = chunks_.n_tokens;
    shown.n_chunks = chunks_.n_chunks;
    shown.n_ctx = options_.n_ctx;
    shown.overrides = gguf::describe_overrides(file_.metadata()).read;
    shown.wave_chunks = plan.wave_chunks;
    shown.n_waves = n_waves;
    shown.model_bytes = file_.size_bytes();
    shown.memory_bytes = plan.host_bytes;
    shown.device_bytes = plan.device_bytes;
    shown.streamed = plan.streamed;
    shown.weights_kept = plan.weights_kept;
    shown.spilled_bytes = plan.spilled_bytes;
    shown.read_bytes =
        team_.member(0).read_bytes_per_wave() * static_cast<std::uint64_t>(plan.weights_kept ? 1 : n_waves);
    shown.context_train = spec_.context_length;
    shown.expected_seconds = expected_seconds(shown);
    observer_.on_plan(shown);
}

void Run::run_wave(std::int64_t first, std::int64_t count) {
    const auto progress = [&](std::int64_t steps) {
        Progress shown;
        shown.chunks_done = first;
        shown.chunks_in_wave = count;
        shown.layers_done = steps;
        shown.n_layers = team_.member(0).n_steps();
        const double in_wave = static_cast<double>(count * steps) / static_cast<double>(shown.n_layers);
        shown.work_done = (static_cast<double>(first) + in_wave) / static_cast<double>(chunks_.n_chunks);
        shown.elapsed_seconds = seconds_since(start_);
        shown.tokens_per_second =
            shown.work_done * static_cast<double>(chunks_.n_chunks * options_.n_ctx) / shown.elapsed_seconds;
        observer_.on_progress(shown);
        if (observer_.stop_requested()) throw Stopped{};
    };
    team_.run({first, count, chunks_.input_range(first, count), chunks_.target_range(first, count)},
              collector_, progress);
    collector_.commit();
    chunks_done_ = first + count;
    report_losses(first);
}

void Run::report_losses(std::int64_t first) {
    if (!options_.perplexity) return;
    const auto& losses = collector_.committed().chunk_losses;
    for (auto chunk = static_cast<std::size_t>(first); chunk < losses.size(); ++chunk) {
        losses_.merge(losses[chunk]);
        observer_.on_perplexity(static_cast<std::int64_t>(chunk) + 1, losses_.running());
    }
}

void Run::save(const std::filesystem::path& path) {
    Collected& collected = collector_.committed();
    collected.matrix.recount_chunks();
    store_model(spec_, collected.matrix.extra);
    store_losses(collected.chunk_losses, collected.matrix.extra);
    store_similarity(collected.similarity, collected.matrix.extra);
    imatrix::Notes notes;
    imatrix::save(collected.matrix, path, format_, notes);
    for (const std::string& note : notes) observer_.on_note(note);
    observer_.on_saved(path, format_, chunks_done_);
}

void Run::save_meanwhile(const std::filesystem::path& path) {
    try {
        save(path);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::Io) throw;
        observer_.on_note(fmt::format("{}; the run goes on without this file", error.what()));
    }
}

void Run::finish(Result& result) {
    result.n_chunks = chunks_.n_chunks;
    result.chunks_done = chunks_done_;
    result.tokens = chunks_done_ * options_.n_ctx;
    result.seconds = seconds_since(start_);
    const engine::PassTimes& times = team_.member(0).times();
    result.passes = {times.total, times.reading, times.waiting_for_weights, times.waiting_for_sink};
    result.matrix = std::move(collector_.committed().matrix);
    result.similarity = std::move(collector_.committed().similarity);
    if (!options_.perplexity) return;
    const auto estimate = losses_.finish();
    result.negative_variance = !estimate;
    if (!estimate) return;
    result.perplexity = estimate->perplexity;
    result.perplexity_error = estimate->error;
}

std::int64_t Run::smaller_wave(std::int64_t count, const Error& error) {
    if (error.kind() != ErrorKind::Device || !error.message().starts_with(backend::kOutOfDeviceMemory)) throw;
    if (count <= static_cast<std::int64_t>(team_.size()))  // a chunk each
        throw_error(ErrorKind::Device, error.where(),
                    "{}; one chunk of {} tokens does not fit: a smaller --ctx-size, --device cpu or closing "
                    "other programs that use the device would help",
                    error.message(), options_.n_ctx);
    if (!wave_halved_)
        observer_.on_note(
            fmt::format("{} does not have the memory for {} chunks at a time; going on with fewer",
                        error.where(), count));
    wave_halved_ = true;
    return count / 2;
}

Result Run::run() {
    std::vector<std::filesystem::path> parts;
    for (std::size_t i = 0; i < file_.n_shards(); ++i) parts.push_back(file_.shard(i).path());
    check_writable(options_.output, parts);
    if (options_.process_output && options_.output_tensor_name != spec_.output.weight.name)
        observer_.on_note(fmt::format(
            "--process-output collects nothing: the output projection of this model is {}, not {}; "
            "--output-tensor-name chooses it",
            spec_.output.weight.name, options_.output_tensor_name));
    if (!options_.spill_folder.empty() && !devices_.backends().front()->uses_host_memory())
        throw_error(ErrorKind::Usage, "--spill", "states stay on the device with {}; it needs --device cpu",
                    devices_.backends().front()->description());
    const WavePlan waves = plan_team(options_, devices_, team_, file_.size_bytes(), chunks_.n_chunks);
    SaveRules rules{options_.save_every,
                    options_.save_every_given || (!waves.streamed && waves.device_bytes == 0),
                    options_.snapshot_every, collector_.committed().matrix.chunk_count};
    if (options_.wave_chunks > 0) rules.save_every_binding = options_.save_every_given;
    prepare(waves);
    announce(waves, std::ssize(schedule(chunks_.n_chunks, waves.wave_chunks, rules)));
    start_ = Clock::now();
    Result result;
    std::int64_t wave_chunks = waves.wave_chunks;
    try {
        while (chunks_done_ < chunks_.n_chunks) {
            const WaveEnd end = next_wave(chunks_done_, chunks_.n_chunks, wave_chunks, rules);
            const std::int64_t count = end.chunks_done - chunks_done_;
            try {
                run_wave(chunks_done_, count);
            } catch (const Error& error) {
                collector_.abandon();
                wave_chunks = smaller_wave(count, error);
                continue;
            }
            if (end.save && chunks_done_ < chunks_.n_chunks) save_meanwhile(options_.output);
            if (end.snapshot)
                save_meanwhile(
                    fmt::format("{}.at_{}", options_.output.string(), rules.chunks_before + end.chunks_done));
        }
        save(options_.output);
    } catch (const Stopped&) {
        collector_.abandon();
        result.stopped = true;
        if (chunks_done_ > 0) save(options_.output);
    }
    finish(result);
    return result;
}

}  // namespace

Result run(const Options& options, Observer& observer) { return Run(options, observer).run(); }

}  // namespace assay::calibrate
