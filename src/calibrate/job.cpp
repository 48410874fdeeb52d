#include "calibrate/job.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

#include "calibrate/check_tensors.h"
#include "calibrate/chunks.h"
#include "calibrate/collector.h"
#include "calibrate/devices.h"
#include "calibrate/extra.h"
#include "calibrate/model_file.h"
#include "calibrate/saver.h"
#include "calibrate/schedule.h"
#include "core/error.h"
#include "core/file.h"
#include "engine/not_finite.h"
#include "engine/team.h"
#include "model/registry.h"
#include "plan/estimate.h"

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
        imatrix::Matrix loaded = imatrix::load(path, {static_cast<std::uint32_t>(options.n_ctx)}, notes);
        forget_ones(loaded);
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
          file_(open_model(options.model, options.metadata, options.draft)),
          program_(model::build(file_, {options.n_ctx, options.nextn || !options.draft.empty()})),
          devices_(options),
          collector_(load_start(options, observer),
                     options.complete ? stacked_weights(file_, program_) : Stacks{}),
          chunks_(tokenize(file_, options, observer)),
          pass_(file_, program_, *devices_.backends().front(), pass_options()),
          waves_(plan_team(options, devices_, pass_, chunks_.n_chunks)),
          team_(pass_, devices_.backends(), placement()) {}

    Result run();

  private:
    plan::PassOptions pass_options() const {
        plan::PassOptions options;
        options.n_ctx = options_.n_ctx;
        if (options_.process_output) options.observed_output = options_.output_tensor_name;
        options.losses = options_.perplexity;
        options.similarity = options_.similarity;
        if (!options_.complete) return options;
        options.observe_head = true;
        options.observed_norms = latent_entries(file_, program_);
        return options;
    }
    engine::Placement placement() const {
        return {waves_.streamed, waves_.weights_kept, waves_.spilled_bytes > 0 ? options_.spill_folder : ""};
    }
    /// What to go on with after this wave did not fit a device. Throws where fewer chunks cannot help.
    std::int64_t smaller_wave(std::int64_t count, const Error& error);
    /// Takes the chunk out of those to come. False where it may not be left out, or no other is there.
    bool leave_out(const engine::NotFinite& error);
    /// What was left out of the wave under way stays out.
    void settle_skipped();
    void check_weights();
    /// Layers, and blocks behind them.
    std::size_t n_blocks() const { return program_.layers.size() + program_.nextn.size(); }
    /// What was asked for, or loaded, that this model does not have.
    void tell_mismatches();
    /// The matrix says how many blocks that predict ahead it is of; what was loaded comes first.
    void set_nextn();
    double expected_seconds(const Plan& plan);
    void announce(std::int64_t n_waves);
    void run_wave(std::int64_t first, std::int64_t count);
    void report_losses(std::int64_t first);
    void report_coverage();
    /// What stands in for the sums of experts that no token has reached; `last` are the chunks of the last
    /// wave.
    void fill_missing_experts(engine::ChunkRange last);
    /// Begins to write what is committed to these files, while the run goes on.
    void save(std::vector<std::filesystem::path> paths);
    /// Waits for what save() has begun, if anything, and tells of it. Where the disk refuses a file the run
    /// goes on, since its sums are in memory and the `last` save may succeed; that one's failure is thrown.
    void finish_save(bool last = false);
    /// Moves what was collected into the result.
    void finish(Result& result);

    const Options& options_;
    Observer& observer_;
    imatrix::Format format_;
    gguf::File file_;
    model::Program program_;
    Devices devices_;
    Collector collector_;
    Chunks chunks_;
    plan::PassPlan pass_;
    WavePlan waves_;
    engine::Team team_;
    std::int64_t chunks_done_ = 0;
    bool wave_halved_ = false;
    Saver saver_;  ///< reads what collector_ has committed
    std::int64_t chunks_saved_ = 0;
    /// Numbers in the text, from 1, of chunks that were left out: before the wave under way, and of it. Both
    /// rise.
    std::vector<std::int64_t> skipped_, skipped_in_wave_;
    perplexity::Sums losses_;
    Clock::time_point start_ = Clock::now();
};

double Run::expected_seconds(const Plan& plan) {
    const double flop = plan::flop_per_token(program_, options_.n_ctx, options_.perplexity) *
                        static_cast<double>(chunks_.n_chunks * options_.n_ctx);
    const std::int64_t width = std::min(program_.hidden, kProbeWidth);
    const auto backends = devices_.backends();
    try {
        const double rate = kShareOfProducts * static_cast<double>(backends.size()) *
                            plan::product_rate(*backends.front(), width, width, kProbeSeconds);
        const double reading =
            plan.streamed ? static_cast<double>(plan.read_bytes) / plan::read_rate(file_) : 0.0;
        return std::max(flop / rate, reading);
    } catch (const Error&) {
        return 0;  // the run itself will say what is wrong, or find that a smaller wave fits
    }
}

void Run::announce(std::int64_t n_waves) {
    const WavePlan& plan = waves_;
    Plan shown;
    shown.model_name = program_.name.empty() ? options_.model.filename().string() : program_.name;
    shown.architecture = program_.architecture;
    for (const backend::Backend* backend : devices_.backends())
        shown.backends.push_back(backend->description());
    shown.n_layers = static_cast<std::int64_t>(program_.layers.size());
    shown.n_nextn = std::ssize(program_.nextn);
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
        pass_.read_bytes_per_wave() * static_cast<std::uint64_t>(plan.weights_kept ? 1 : n_waves);
    shown.context_train = program_.context_length;
    shown.expected_seconds = expected_seconds(shown);
    observer_.on_plan(shown);
}

void Run::run_wave(std::int64_t first, std::int64_t count) {
    const auto progress = [&](std::int64_t steps) {
        Progress shown;
        shown.chunks_done = first;
        shown.chunks_in_wave = count;
        shown.layers_done = steps;
        shown.n_layers = pass_.n_steps();
        const double in_wave = static_cast<double>(count * steps) / static_cast<double>(shown.n_layers);
        shown.work_done = (static_cast<double>(first) + in_wave) / static_cast<double>(chunks_.n_chunks);
        shown.elapsed_seconds = seconds_since(start_);
        shown.tokens_per_second =
            shown.work_done * static_cast<double>(chunks_.n_chunks * options_.n_ctx) / shown.elapsed_seconds;
        if (saver_.done()) finish_save();
        observer_.on_progress(shown);
        if (observer_.stop_requested()) throw Stopped{};
    };
    team_.run({first, count, chunks_.input_range(first, count), chunks_.target_range(first, count)},
              collector_, progress);
    finish_save();  // which reads what commit() changes
    collector_.commit();
    chunks_done_ = first + count;
    settle_skipped();
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

void Run::report_coverage() {
    const stats::Coverage coverage = stats::coverage(collector_.committed().matrix);
    if (!coverage.experts.empty()) observer_.on_coverage(coverage, chunks_done_);
}

void Run::fill_missing_experts(engine::ChunkRange last) {
    finish_save();  // which reads what changes now
    imatrix::Matrix& matrix = collector_.committed().matrix;
    if (options_.complete) add_equal_weights(file_, program_, matrix);
    if (options_.missing_experts == MissingExperts::One) return fill_with_ones(matrix);
    const engine::ExpertLists missing = missing_experts(program_, matrix);
    if (options_.missing_experts == MissingExperts::Zero || missing.empty()) return;
    Collector forced((imatrix::Matrix()));
    const auto check_stop = [&](std::int64_t) {
        if (observer_.stop_requested()) throw Stopped{};
    };
    team_.run({last.first, last.count, chunks_.input_range(last.first, last.count),
               chunks_.target_range(last.first, last.count), &missing},
              forced, check_stop);
    forced.commit();
    add_forced(matrix, forced.committed().matrix);
}

void Run::save(std::vector<std::filesystem::path> paths) {
    finish_save();
    Collected& collected = collector_.committed();
    collected.matrix.recount_chunks();
    store_model(program_, collected.matrix.extra);
    store_losses(collected, collected.matrix.extra);
    store_similarity(collected.similarity, collected.matrix.extra);
    chunks_saved_ = chunks_done_;
    saver_.start(collected.matrix, format_, std::move(paths));
}

void Run::finish_save(bool last) {
    if (!saver_.under_way()) return;
    const Saver::Outcome outcome = saver_.finish();
    for (const std::string& note : outcome.notes) observer_.on_note(note);
    for (const Saver::File& file : outcome.files) {
        if (!file.failure)
            observer_.on_saved(file.path, format_, chunks_saved_);
        else if (last)
            throw Error(*file.failure);
        else
            observer_.on_note(fmt::format("{}; the run goes on without this file", file.failure->what()));
    }
}

void Run::finish(Result& result) {
    result.n_chunks = chunks_.n_chunks;
    result.chunks_done = chunks_done_;
    result.tokens = chunks_done_ * options_.n_ctx;
    result.seconds = seconds_since(start_);
    result.skipped = skipped_;
    if (!skipped_.empty())
        observer_.on_note(
            fmt::format("{} of {} chunks of the text were left out, since they gave no numbers: {}",
                        skipped_.size(), chunks_done_ + std::ssize(skipped_), fmt::join(skipped_, ", ")));
    const engine::PassTimes& times = team_.member(0).times();
    result.passes = {times.total, times.reading, times.waiting_for_weights, times.waiting_for_sink};
    result.matrix = std::move(collector_.committed().matrix);
    result.similarity = std::move(collector_.committed().similarity);
    if (!options_.perplexity) return;
    const auto estimate = losses_.finish();
    result.negative_variance = !estimate;
    if (estimate) {
        result.perplexity = estimate->perplexity;
        result.perplexity_error = estimate->error;
    }
    for (std::size_t i = 0; i < program_.nextn.size() && i < collector_.committed().nextn_losses.size();
         ++i) {
        perplexity::Sums sums;
        for (const perplexity::Sums& chunk : collector_.committed().nextn_losses[i]) sums.merge(chunk);
        result.nextn.push_back({program_.nextn[i].block, program_.nextn[i].ahead + 1, sums.finish()});
    }
}

std::int64_t Run::smaller_wave(std::int64_t count, const Error& error) {
    if (count <= static_cast<std::int64_t>(team_.size()))  // a chunk each
        throw_error(ErrorKind::DeviceMemory, error.where(),
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

bool Run::leave_out(const engine::NotFinite& error) {
    if (options_.on_nan == OnNan::Stop || chunks_.n_chunks <= 1) return false;
    std::int64_t number = options_.skip_chunks + error.chunk() + 1;
    for (const auto* skipped : {&skipped_, &skipped_in_wave_})
        for (const std::int64_t before : *skipped) number += before <= number;
    observer_.on_note(fmt::format("chunk {} of the text is left out: {}", number, error.finding()));
    chunks_.leave_out(error.chunk());
    skipped_in_wave_.insert(std::ranges::upper_bound(skipped_in_wave_, number), number);
    return true;
}

void Run::settle_skipped() {
    store_skipped(skipped_in_wave_, collector_.committed().matrix.extra);
    skipped_.insert(skipped_.end(), skipped_in_wave_.begin(), skipped_in_wave_.end());
    skipped_in_wave_.clear();
}

void Run::check_weights() {
    if (options_.perplexity && !options_.check_tensors) return;
    check_tensors(file_, options_.check_tensors ? all_tensors(file_) : unobserved_tensors(file_, n_blocks()),
                  options_.n_threads);
}

void Run::tell_mismatches() {
    if (options_.process_output && options_.output_tensor_name != program_.output.linear.weight.name)
        observer_.on_note(
            fmt::format("--process-output collects nothing: the model's output projection is {}, and {} was "
                        "to be collected; "
                        "--output-tensor-name decides",
                        program_.output.linear.weight.name, options_.output_tensor_name));
    if (options_.nextn || !options_.draft.empty())
        if (const auto why = why_no_nextn(file_, program_)) observer_.on_note(*why);
    const auto& loaded = collector_.committed().matrix.entries;
    const auto latent = latent_entries(file_, program_);
    const auto is_strange = [&](const auto& item) {
        const auto same = [&](const auto& entry) { return entry.second == item.first; };
        return file_.find(item.first) == nullptr && std::ranges::none_of(latent, same);
    };
    const auto n_strange = std::ranges::count_if(loaded, is_strange);
    if (n_strange > 0)
        observer_.on_note(
            fmt::format("{} of the {} entries loaded are no weights of this model, the first is {}",
                        n_strange, loaded.size(), std::ranges::find_if(loaded, is_strange)->first));
}

void Run::set_nextn() {
    std::uint32_t& stored = collector_.committed().matrix.n_layer_nextn;
    const auto n = static_cast<std::uint32_t>(program_.nextn.size());
    if (stored != 0 && n != 0 && stored != n)
        observer_.on_note(
            fmt::format("the matrices loaded are of {} NextN blocks, the model has {}; the result "
                        "says {}",
                        stored, n, stored));
    if (stored == 0) stored = n;
}

Result Run::run() {
    std::vector<std::filesystem::path> parts;
    for (std::size_t i = 0; i < file_.n_shards(); ++i) parts.push_back(file_.shard(i).path());
    check_writable(options_.output, parts);
    check_weights();
    tell_mismatches();
    set_nextn();
    if (!options_.spill_folder.empty() && !devices_.backends().front()->uses_host_memory())
        throw_error(ErrorKind::Usage, "--spill", "states stay on the device with {}; it needs --device cpu",
                    devices_.backends().front()->description());
    SaveRules rules{options_.save_every,
                    options_.save_every_given || (!waves_.streamed && waves_.device_bytes == 0),
                    options_.snapshot_every, collector_.committed().matrix.chunk_count};
    if (options_.wave_chunks > 0) rules.save_every_binding = options_.save_every_given;
    announce(std::ssize(schedule(chunks_.n_chunks, waves_.wave_chunks, rules)));
    start_ = Clock::now();
    Result result;
    std::int64_t wave_chunks = waves_.wave_chunks;
    engine::ChunkRange last;
    try {
        while (chunks_done_ < chunks_.n_chunks) {
            const WaveEnd end = next_wave(chunks_done_, chunks_.n_chunks, wave_chunks, rules);
            const std::int64_t count = end.chunks_done - chunks_done_;
            try {
                run_wave(chunks_done_, count);
            } catch (const engine::NotFinite& error) {
                collector_.abandon();
                if (!leave_out(error)) explain_not_finite(file_, n_blocks(), error, options_.n_threads);
                continue;
            } catch (const Error& error) {
                collector_.abandon();
                if (error.kind() != ErrorKind::DeviceMemory) throw;
                wave_chunks = smaller_wave(count, error);
                continue;
            }
            last = {chunks_done_ - count, count};
            if (last.first == 0 || chunks_done_ == chunks_.n_chunks) report_coverage();
            std::vector<std::filesystem::path> paths;
            if (end.save && chunks_done_ < chunks_.n_chunks) paths.push_back(options_.output);
            if (end.snapshot)
                paths.emplace_back(
                    fmt::format("{}.at_{}", options_.output.string(), rules.chunks_before + end.chunks_done));
            if (!paths.empty()) save(std::move(paths));
        }
        finish_save();  // which reads what follows changes
        settle_skipped();
        fill_missing_experts(last);
        save({options_.output});
    } catch (const Stopped&) {
        collector_.abandon();
        result.stopped = true;
        if (chunks_done_ > 0) save({options_.output});
    } catch (...) {
        finish_save();  // what went before is of use to who reads of the failure
        throw;
    }
    finish_save(true);
    if (chunks_done_ > 0)
        observer_.on_inventory(take_inventory(file_, program_, collector_.committed().matrix));
    finish(result);
    return result;
}

}  // namespace

Result run(const Options& options, Observer& observer) { return Run(options, observer).run(); }

}  // namespace assay::calibrate
