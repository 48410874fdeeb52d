#include "calibrate/job.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

#include "calibrate/check_tensors.h"
#include "calibrate/checkpoint.h"
#include "calibrate/chunks.h"
#include "calibrate/collector.h"
#include "calibrate/devices.h"
#include "calibrate/forecast.h"
#include "calibrate/model_file.h"
#include "calibrate/saves.h"
#include "calibrate/schedule.h"
#include "calibrate/wave_checkpoint.h"
#include "core/error.h"
#include "core/file.h"
#include "core/new_file.h"
#include "engine/not_finite.h"
#include "engine/team.h"
#include "model/registry.h"

namespace assay::calibrate {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

imatrix::Matrix load_start(const Options& options, Observer& observer) {
    imatrix::Matrix start;
    imatrix::Notes notes;
    for (const auto& path : options.in_files) {
        observer.on_loading(path);
        imatrix::Matrix loaded = imatrix::load(
            path, {static_cast<std::uint32_t>(options.n_ctx), start.stored_chunk_size()}, notes);
        forget_ones(loaded);
        imatrix::merge(start, loaded, notes);
    }
    for (const std::string& note : notes) observer.on_note(note);
    if (!options.dataset.empty()) start.datasets.push_back(options.dataset);
    if (!start.chunk_size_stored) start.chunk_size = static_cast<std::uint32_t>(options.n_ctx);
    start.recount_chunks();
    return start;
}

class Run {
  public:
    Run(const Options& options, Observer& observer)
        : options_(options),
          observer_(observer),
          format_(imatrix::format_for(options.output, options.format, options.form)),
          lock_(options.output),
          file_(open_model(options.model, options.metadata, options.draft)),
          program_(model::build(file_, {options.n_ctx, options.nextn || !options.draft.empty()})),
          devices_(options),
          collector_(load_start(options, observer),
                     options.complete ? stacked_weights(file_, program_) : Stacks{}),
          chunks_(tokenize(file_, options, observer)),
          pass_(file_, program_, *devices_.backends().front(), pass_options()),
          waves_(plan_team(options, devices_, pass_, chunks_.n_chunks)),
          team_(pass_, devices_.backends(), placement()),
          checkpoint_(options, [this] {
              return identity_of(options_, file_, chunks_, *devices_.backends().front(), waves_.wave_chunks);
          }) {}

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
    void check_weights();
    /// Layers, and blocks behind them.
    std::size_t n_blocks() const { return program_.layers.size() + program_.nextn.size(); }
    /// What was asked for, or loaded, that this model does not have.
    void tell_mismatches();
    /// The matrix says how many blocks that predict ahead it is of; what was loaded comes first.
    void set_nextn();
    void announce(std::int64_t n_waves);
    /// Goes on from what an earlier run has kept, if anything. False: that one has ended.
    bool look_for_state();
    /// The end of the wave that comes next.
    WaveEnd next_end(const SaveRules& rules) const;
    void run_waves(const SaveRules& rules);
    void run_wave(std::int64_t first, std::int64_t count);
    void run_part(std::int64_t first, std::int64_t count, const engine::WaveStart* start,
                  WaveCheckpoint* keeper);
    /// Drops what a wave has given that failed.
    void undo_wave();
    void report_losses(std::int64_t first);
    void report_coverage();
    /// What stands in for the sums of experts that no token has reached.
    void fill_missing_experts();
    void force_missing_experts(imatrix::Matrix& matrix);
    /// Moves what was collected into the result.
    void finish(Result& result);

    const Options& options_;
    Observer& observer_;
    imatrix::Format format_;
    TargetLock lock_;
    gguf::File file_;
    model::Program program_;
    Devices devices_;
    Collector collector_;
    Chunks chunks_;
    plan::PassPlan pass_;
    WavePlan waves_;
    engine::Team team_;
    Checkpoint checkpoint_;
    std::unique_ptr<SavedState> begun_;  ///< of a wave that an earlier run has begun, until it is done
    std::int64_t chunks_resumed_ = 0;
    std::int64_t chunks_done_ = 0;
    std::int64_t wave_chunks_ = 0;  ///< at most
    bool wave_halved_ = false;
    engine::ChunkRange last_;  ///< chunks of the last wave
    bool filled_ = false;      ///< what no token has reached, by the run that this one goes on from
    Saves saves_{options_, observer_, format_, pass_, collector_, checkpoint_};
    perplexity::Sums losses_;
    Clock::time_point start_ = Clock::now();
};

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
    shown.expected_seconds = forecast(
        file_, program_, devices_.backends(),
        {options_.n_ctx, chunks_.n_chunks, options_.perplexity, shown.streamed ? shown.read_bytes : 0});
    observer_.on_plan(shown);
}

bool Run::look_for_state() {
    Found found =
        checkpoint_.look(collector_.committed().matrix.n_chunks(static_cast<std::uint64_t>(options_.n_ctx)));
    for (const std::string& note : found.notes) observer_.on_note(note);
    if (found.complete) {
        observer_.on_state(fmt::format("the run is complete, and {} holds its result: nothing is left to do",
                                       options_.output.string()));
        return false;
    }
    if (!found.state) {
        if (options_.resume)
            observer_.on_state(fmt::format("nothing to resume in {}: the run starts from the beginning",
                                           options_.checkpoint_folder.string()));
        return true;
    }
    collector_.restore(found.state->sums());
    std::int64_t first = options_.skip_chunks + 1;
    for (const std::int64_t number : collector_.committed().skipped) {
        if (number < first || number - first >= chunks_.n_chunks)
            throw_error(ErrorKind::BadFile, options_.checkpoint_folder.string(),
                        "the state leaves chunk {} out, which the text has not", number);
        chunks_.leave_out(number - first++);
    }
    const StateHead& head = found.state->head();
    chunks_done_ = chunks_resumed_ = head.position.chunks_done;
    observer_.on_state(fmt::format("resuming {} of {}", standing_text(head.position), chunks_.n_chunks));
    filled_ = head.position.filled();
    if (head.position.wave_chunks > 0) begun_ = std::move(found.state);
    return true;
}

void Run::run_part(std::int64_t first, std::int64_t count, const engine::WaveStart* start,
                   WaveCheckpoint* keeper) {
    const auto progress = [&](std::int64_t steps) {
        Progress shown;
        shown.chunks_done = first;
        shown.chunks_in_wave = count;
        shown.layers_done = steps;
        shown.n_layers = pass_.n_steps();
        const double in_wave = static_cast<double>(count * steps) / static_cast<double>(shown.n_layers);
        const double done = static_cast<double>(first) + in_wave;
        shown.work_done = done / static_cast<double>(chunks_.n_chunks);
        shown.elapsed_seconds = seconds_since(start_);
        shown.tokens_per_second = (done - static_cast<double>(chunks_resumed_)) *
                                  static_cast<double>(options_.n_ctx) / shown.elapsed_seconds;
        saves_.tell_when_done();
        if (keeper != nullptr)
            if (const auto failure = keeper->take_failure()) saves_.tell_state_failure(*failure);
        observer_.on_progress(shown);
        if (!observer_.stop_requested()) return;
        if (keeper == nullptr) throw Stopped();
        keeper->stop();
    };
    team_.run({first, count, chunks_.input_range(first, count), chunks_.target_range(first, count), nullptr,
               start, keeper},
              collector_, progress);
}

void Run::run_wave(std::int64_t first, std::int64_t count) {
    WaveCheckpoint keeper(checkpoint_, collector_, pass_, {first, count, 0});
    WaveCheckpoint* const asked = checkpoint_.enabled() ? &keeper : nullptr;
    try {
        if (begun_) {
            // Its chunks may have to go on in several runs, where memory is shorter than it was; between them
            // the state is the one that they began with.
            const engine::WaveStart start = begun_->wave_start(pass_);
            for (std::int64_t next = first; next < first + count; next += wave_chunks_)
                run_part(next, std::min(wave_chunks_, first + count - next), &start,
                         count <= wave_chunks_ ? asked : nullptr);
        } else {
            run_part(first, count, nullptr, asked);
        }
    } catch (...) {
        if (const auto failure = keeper.take_failure()) saves_.tell_state_failure(*failure);
        throw;
    }
    saves_.finish();  // which reads what commit() changes
    collector_.commit();
    begun_.reset();
    chunks_done_ = first + count;
    report_losses(first);
}

void Run::undo_wave() {
    if (begun_)
        collector_.restore(begun_->sums());
    else
        collector_.abandon();
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

void Run::fill_missing_experts() {
    saves_.finish();  // which reads what changes now
    if (filled_) return;
    imatrix::Matrix& matrix = collector_.committed().matrix;
    if (options_.complete) add_equal_weights(file_, program_, matrix);
    if (options_.missing_experts == MissingExperts::One) fill_with_ones(matrix);
    if (options_.missing_experts == MissingExperts::All) force_missing_experts(matrix);
    saves_.filled();
}

void Run::force_missing_experts(imatrix::Matrix& matrix) {
    const engine::ExpertLists missing = missing_experts(program_, matrix);
    if (missing.empty() || last_.count == 0) return;
    Collector forced((imatrix::Matrix()));
    const auto check_stop = [&](std::int64_t) {
        if (observer_.stop_requested()) throw Stopped{};
    };
    team_.run({last_.first, last_.count, chunks_.input_range(last_.first, last_.count),
               chunks_.target_range(last_.first, last_.count), &missing},
              forced, check_stop);
    forced.commit();
    add_forced(matrix, forced.committed().matrix);
}

void Run::finish(Result& result) {
    result.n_chunks = chunks_.n_chunks;
    result.chunks_done = chunks_done_;
    result.tokens = chunks_done_ * options_.n_ctx;
    result.chunks_resumed = chunks_resumed_;
    result.seconds = seconds_since(start_);
    result.skipped = collector_.committed().skipped;
    // Counted through the text, chunks that were left out included.
    result.next_chunk = options_.skip_chunks + chunks_done_ + 1;
    for (const std::int64_t number : result.skipped) result.next_chunk += number <= result.next_chunk;
    --result.next_chunk;
    if (!result.skipped.empty())
        observer_.on_note(
            fmt::format("{} of {} chunks of the text were left out, since they gave no numbers: {}",
                        result.skipped.size(), chunks_done_ + std::ssize(result.skipped),
                        fmt::join(result.skipped, ", ")));
    result.checkpoints = checkpoint_.cost();
    result.resumable = checkpoint_.can_resume();
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
    checkpoint_.settle_identity();  // which is that of the whole text
    std::vector<std::int64_t>& skipped = collector_.committed().skipped;
    std::int64_t number = options_.skip_chunks + error.chunk() + 1;
    for (const std::int64_t before : skipped) number += before <= number;
    observer_.on_note(fmt::format("chunk {} of the text is left out: {}", number, error.finding()));
    chunks_.leave_out(error.chunk());
    skipped.insert(std::ranges::upper_bound(skipped, number), number);
    return true;
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

WaveEnd Run::next_end(const SaveRules& rules) const {
    if (!begun_) return next_wave(chunks_done_, chunks_.n_chunks, wave_chunks_, rules);
    // The wave ends where it was to end when it began.
    const std::int64_t count = begun_->head().position.wave_chunks;
    const WaveEnd end = next_wave(chunks_done_, chunks_.n_chunks, count, rules);
    return end.chunks_done == chunks_done_ + count ? end : WaveEnd{chunks_done_ + count, true, false};
}

void Run::run_waves(const SaveRules& rules) {
    while (chunks_done_ < chunks_.n_chunks) {
        if (chunks_done_ > 0 && observer_.stop_requested()) throw Stopped();
        const WaveEnd end = next_end(rules);
        const std::int64_t count = end.chunks_done - chunks_done_;
        try {
            run_wave(chunks_done_, count);
        } catch (const engine::NotFinite& error) {
            undo_wave();
            if (!leave_out(error)) explain_not_finite(file_, n_blocks(), error, options_.n_threads);
            // Its hidden states hold the chunk.
            if (begun_) collector_.abandon();
            begun_.reset();
            continue;
        } catch (const Error& error) {
            undo_wave();
            if (error.kind() != ErrorKind::DeviceMemory) throw;
            wave_chunks_ = smaller_wave(std::min(count, wave_chunks_), error);
            continue;
        }
        last_ = {chunks_done_ - count, count};
        if (last_.first == 0 || chunks_done_ == chunks_.n_chunks) report_coverage();
        saves_.after_wave(end, chunks_done_ == chunks_.n_chunks);
    }
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
    Result result;
    if (!look_for_state()) {
        result.complete = true;
        return result;
    }
    check_weights();
    tell_mismatches();
    set_nextn();
    if (!options_.spill_folder.empty() && !devices_.backends().front()->uses_host_memory())
        throw_error(ErrorKind::Usage, "--spill", "states stay on the device with {}; it needs --device cpu",
                    devices_.backends().front()->description());
    SaveRules rules{options_.save_every,
                    options_.save_every_given || (!waves_.streamed && waves_.device_bytes == 0),
                    options_.snapshot_every, checkpoint_.chunks_before()};
    if (options_.wave_chunks > 0) rules.save_every_binding = options_.save_every_given;
    wave_chunks_ = waves_.wave_chunks;
    const std::vector<WaveEnd> ends = schedule(chunks_.n_chunks, waves_.wave_chunks, rules);
    announce(std::ssize(ends));
    if (ends.size() == 1) last_.first = 0;
    if (ends.size() > 1) last_.first = ends[ends.size() - 2].chunks_done;
    last_.count = chunks_.n_chunks - last_.first;  // where all was done before
    start_ = Clock::now();
    report_losses(0);
    try {
        run_waves(rules);
        fill_missing_experts();
        saves_.at_end(chunks_done_);
        checkpoint_.finish(chunks_done_);
    } catch (const Stopped&) {
        collector_.abandon();
        result.stopped = true;
        saves_.at_stop(chunks_done_);
    } catch (...) {
        saves_.at_failure(chunks_done_);  // what went before is of use to who reads of the failure
        throw;
    }
    if (chunks_done_ > 0)
        observer_.on_inventory(take_inventory(file_, program_, collector_.committed().matrix));
    finish(result);
    return result;
}

}  // namespace

Result run(const Options& options, Observer& observer) { return Run(options, observer).run(); }

}  // namespace assay::calibrate
