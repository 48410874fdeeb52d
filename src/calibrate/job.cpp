#include "calibrate/job.h"

#include <algorithm>
#include <chrono>

#include "calibrate/chunks.h"
#include "calibrate/collector.h"
#include "calibrate/extra.h"
#include "calibrate/memory.h"
#include "calibrate/schedule.h"
#include "core/error.h"
#include "core/file.h"
#include "engine/pass.h"
#include "model/registry.h"

namespace assay::calibrate {

namespace {

using Clock = std::chrono::steady_clock;

/// Sums of x^2 and of x in f64, the committed ones and those of the wave.
constexpr std::uint64_t kBytesPerColumn = 2 * 2 * sizeof(double);

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

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
    return start;
}

class Run {
  public:
    Run(const Options& options, Observer& observer)
        : options_(options),
          observer_(observer),
          format_(imatrix::format_for(options.output, options.format)),
          file_(gguf::File::open(options.model)),
          spec_(model::build(file_, {options.n_ctx})),
          collector_(load_start(options, observer)),
          chunks_(tokenize(file_, options, observer)),
          pool_(options.n_threads > 0 ? options.n_threads : available_processors()),
          backend_(backend::open({options.device, options.precision, options.isa, options.n_ctx}, pool_)),
          pass_(file_, spec_, *backend_, pass_options()) {}

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
    WavePlan plan() const;
    void announce(const WavePlan& plan, std::size_t n_waves);
    void run_wave(std::int64_t first, std::int64_t count);
    void report_losses(std::int64_t first);
    void save(const std::filesystem::path& path);
    /// Moves what was collected into the result.
    void finish(Result& result);

    const Options& options_;
    Observer& observer_;
    imatrix::Format format_;
    gguf::File file_;
    model::ModelSpec spec_;
    Collector collector_;
    Chunks chunks_;
    ThreadPool pool_;
    std::unique_ptr<backend::Backend> backend_;
    engine::Pass pass_;
    std::int64_t chunks_done_ = 0;
    perplexity::Sums losses_;
    Clock::time_point start_ = Clock::now();
};

WavePlan Run::plan() const {
    MemoryNeeds needs;
    needs.file_bytes = file_.size_bytes();
    needs.weight_bytes = pass_.weight_bytes();
    needs.stream_bytes = pass_.stream_bytes();
    needs.workspace_bytes = pass_.workspace_bytes();
    needs.bytes_per_chunk = pass_.bytes_per_chunk();
    needs.sums_bytes = pass_.observed_columns() * kBytesPerColumn;
    const std::uint64_t bound = memory_bound(options_.memory_bytes);
    WaveRules rules;
    rules.n_chunks = chunks_.n_chunks;
    if (options_.save_every > 0) rules.resident_chunks = options_.save_every;
    rules.may_spill = !options_.spill_folder.empty();
    WavePlan plan = plan_waves(needs, bound, rules);
    if (options_.wave_chunks > 0) {
        plan.peak_bytes += needs.bytes_per_chunk * static_cast<std::uint64_t>(options_.wave_chunks);
        plan.peak_bytes -= needs.bytes_per_chunk * static_cast<std::uint64_t>(plan.wave_chunks);
        plan.wave_chunks = options_.wave_chunks;
    }
    return plan;
}

void Run::announce(const WavePlan& plan, std::size_t n_waves) {
    Plan shown;
    shown.model_name = spec_.name.empty() ? options_.model.filename().string() : spec_.name;
    shown.architecture = spec_.architecture;
    shown.backend = backend_->description();
    shown.n_layers = static_cast<std::int64_t>(spec_.layers.size());
    shown.n_tokens = chunks_.n_tokens;
    shown.n_chunks = chunks_.n_chunks;
    shown.n_ctx = options_.n_ctx;
    shown.wave_chunks = plan.wave_chunks;
    shown.model_bytes = file_.size_bytes();
    shown.memory_bytes = plan.peak_bytes;
    shown.n_waves = static_cast<std::int64_t>(n_waves);
    shown.streamed = plan.streamed;
    shown.spilled_bytes = plan.spilled_bytes;
    shown.read_bytes = pass_.read_bytes_per_wave() * n_waves;
    shown.context_train = spec_.context_length;
    observer_.on_plan(shown);
}

void Run::run_wave(std::int64_t first, std::int64_t count) {
    const auto progress = [&](std::int64_t steps) {
        Progress shown;
        shown.chunks_done = first;
        shown.chunks_in_wave = count;
        shown.layers_done = steps;
        shown.n_layers = pass_.n_steps();
        const double in_wave = static_cast<double>(count * steps) / static_cast<double>(pass_.n_steps());
        shown.work_done = (static_cast<double>(first) + in_wave) / static_cast<double>(chunks_.n_chunks);
        shown.elapsed_seconds = seconds_since(start_);
        shown.tokens_per_second =
            shown.work_done * static_cast<double>(chunks_.n_chunks * options_.n_ctx) / shown.elapsed_seconds;
        observer_.on_progress(shown);
        if (observer_.stop_requested()) throw Stopped{};
    };
    pass_.run({first, count, chunks_.input_range(first, count), chunks_.target_range(first, count)},
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

void Run::finish(Result& result) {
    result.n_chunks = chunks_.n_chunks;
    result.chunks_done = chunks_done_;
    result.tokens = chunks_done_ * options_.n_ctx;
    result.seconds = seconds_since(start_);
    result.matrix = std::move(collector_.committed().matrix);
    result.similarity = std::move(collector_.committed().similarity);
    if (!options_.perplexity) return;
    const auto estimate = losses_.finish();
    result.negative_variance = !estimate;
    if (!estimate) return;
    result.perplexity = estimate->perplexity;
    result.perplexity_error = estimate->error;
}

Result Run::run() {
    check_writable(options_.output);
    if (!options_.spill_folder.empty() && !backend_->uses_host_memory())
        throw_error(ErrorKind::Usage, "--spill", "states stay on the device with {}; it needs --device cpu",
                    backend_->description());
    const WavePlan waves = plan();
    if (waves.streamed) pass_.stream_weights();
    if (waves.spilled_bytes > 0) pass_.spill_states(options_.spill_folder);
    SaveRules rules{options_.save_every, options_.save_every_given || !waves.streamed,
                    options_.snapshot_every};
    if (options_.wave_chunks > 0) rules.save_every_binding = options_.save_every_given;
    const auto ends = schedule(chunks_.n_chunks, waves.wave_chunks, rules);
    announce(waves, ends.size());
    start_ = Clock::now();
    Result result;
    try {
        for (const WaveEnd& end : ends) {
            run_wave(chunks_done_, end.chunks_done - chunks_done_);
            if (end.save) save(options_.output);
            if (end.snapshot) save(options_.output.string() + ".at_" + std::to_string(end.chunks_done));
        }
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
