#include "calibrate/job.h"

#include <algorithm>
#include <fmt/format.h>

#include "calibrate/alike.h"
#include "calibrate/check_tensors.h"
#include "calibrate/forecast.h"
#include "calibrate/model_file.h"
#include "calibrate/run.h"
#include "core/error.h"
#include "core/file.h"
#include "model/registry.h"

namespace assay::calibrate {

namespace {

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

}  // namespace

Run::Run(const Options& options, Observer& observer, cluster::Communicator* communicator)
    : options_(options),
      observer_(observer),
      communicator_(communicator),
      format_(imatrix::format_for(options.output, options.format, options.form)),
      lock_(follows() ? nullptr : std::make_unique<TargetLock>(options.output)),
      file_(open_model(options.model, options.metadata, options.draft)),
      program_(model::build(file_, {options.n_ctx, options.nextn || !options.draft.empty()})),
      devices_(options),
      stacks_(options.complete ? stacked_weights(file_, program_) : Stacks{}),
      collector_(load_start(options, observer), stacks_),
      chunks_(chunks_of_run()),
      pass_(file_, program_, *devices_.backends().front(), pass_options()),
      ring_(communicator != nullptr ? share_ring(pass_, devices_.size(), *communicator, observer) : nullptr),
      waves_(plan_team(options, devices_, pass_, chunks_.full_chunks(0, chunks_.n_chunks()),
                       ring_ ? ring_->n_ranks() : 1)),
      team_(pass_, devices_.backends(), placement()),
      checkpoint_(options, [this] {
          return identity_of(options_, file_, chunks_, *devices_.backends().front(), waves_.wave_chunks);
      }) {
    if (ring_ && !waves_.streamed) ring_->retire();
}

plan::PassOptions Run::pass_options() const {
    plan::PassOptions options;
    options.n_ctx = options_.n_ctx;
    options.unequal = !chunks_.are_plain();
    if (options_.process_output) options.observed_output = options_.output_tensor_name;
    options.losses = options_.perplexity;
    options.similarity = options_.similarity;
    if (!options_.complete) return options;
    options.observe_head = true;
    options.observed_norms = latent_entries(file_, program_);
    return options;
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
    shown.n_chunks = chunks_.n_chunks();
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
        {options_.n_ctx, chunks_.starts.back(), options_.perplexity, shown.streamed ? shown.read_bytes : 0});
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
        if (number < first || number - first >= chunks_.n_chunks())
            throw_error(ErrorKind::BadFile, options_.checkpoint_folder.string(),
                        "the state leaves chunk {} out, which the text has not", number);
        chunks_.leave_out(number - first++);
    }
    const StateHead& head = found.state->head();
    chunks_done_ = chunks_resumed_ = head.position.chunks_done;
    observer_.on_state(fmt::format("resuming {} of {}", standing_text(head.position), chunks_.n_chunks()));
    filled_ = head.position.filled();
    if (head.position.wave_chunks > 0) begun_ = std::move(found.state);
    return true;
}

void Run::fill_missing_experts() {
    saves_.finish();  // which reads what changes now
    if (filled_) return;
    imatrix::Matrix& matrix = collector_.committed().matrix;
    if (options_.complete) saves_.keep_constants(add_equal_weights(file_, program_, matrix));
    if (options_.missing_experts == MissingExperts::One) fill_with_ones(matrix);
    if (options_.missing_experts == MissingExperts::All) force_missing_experts(matrix);
    saves_.filled();
}

void Run::force_missing_experts(imatrix::Matrix& matrix) {
    const engine::ExpertLists missing = missing_experts(program_, matrix);
    if (missing.empty() || last_.count == 0) return;
    if (lead_) {
        RoundOrder order = round_order();
        order.forced = missing;
        const RoundHooks no_hooks{[](std::int64_t, const perplexity::Sums&) {}, [](double) { return false; }};
        add_forced(matrix, lead_->round({last_.first, last_.count}, order, no_hooks).collected.matrix);
        return;
    }
    Collector forced((imatrix::Matrix()));
    const auto check_stop = [&](std::int64_t) {
        if (observer_.stop_requested()) throw Stopped{};
    };
    engine::Wave wave = chunks_.wave(last_.first, last_.count);
    wave.forced = &missing;
    team_.run(wave, forced, check_stop);
    forced.commit();
    add_forced(matrix, forced.committed().matrix);
}

void Run::finish(Result& result) {
    result.n_chunks = chunks_.n_chunks();
    result.chunks_done = chunks_done_;
    result.tokens = chunks_.tokens_of(0, chunks_done_);
    result.chunks_resumed = chunks_resumed_;
    result.seconds = seconds();
    result.skipped = collector_.committed().skipped;
    result.next_chunk = next_chunk(options_.skip_chunks, chunks_done_, result.skipped);
    if (!result.skipped.empty())
        observer_.on_note(
            fmt::format("{} of {} chunks of the text were left out, since they gave no numbers: {}",
                        result.skipped.size(), chunks_done_ + std::ssize(result.skipped),
                        fmt::join(result.skipped, ", ")));
    result.checkpoints = checkpoint_.cost();
    result.resumable = checkpoint_.can_resume();
    const engine::PassTimes& times = team_.member(0).times();
    result.passes = {times.total, times.reading, times.waiting_for_weights, times.waiting_for_sink};
    if (communicator_ == nullptr && waves_.streamed) read_bytes_[""] = times.read_bytes;
    result.read_bytes = std::move(read_bytes_);
    result.matrix = std::move(collector_.committed().matrix);
    result.similarity = std::move(collector_.committed().similarity);
    if (!options_.perplexity) return;
    const auto estimate = losses_.finish();
    result.negative_variance = !estimate;
    if (estimate) {
        result.perplexity = estimate->perplexity;
        result.perplexity_error = estimate->error;
    }
    for (const documents::Role role : documents::kRoles) {
        perplexity::Sums sums;
        for (const RoleLosses& chunk : collector_.committed().role_losses) sums.merge(chunk[index_of(role)]);
        if (sums.count > 0) result.roles.push_back({role, sums.count, sums.finish()});
    }
    for (std::size_t i = 0; i < program_.nextn.size() && i < collector_.committed().nextn_losses.size();
         ++i) {
        perplexity::Sums sums;
        for (const perplexity::Sums& chunk : collector_.committed().nextn_losses[i]) sums.merge(chunk);
        result.nextn.push_back({program_.nextn[i].block, program_.nextn[i].ahead + 1, sums.finish()});
    }
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
    if (communicator_ != nullptr) check_alike(*communicator_, file_, *devices_.backends().front());
    if (follows()) {
        try {
            follow_cluster(cluster_parts());
        } catch (const engine::NotFinite& error) {
            explain_not_finite(file_, n_blocks(), error, options_.n_threads);
        }
        return Result();
    }
    std::vector<std::filesystem::path> parts;
    for (std::size_t i = 0; i < file_.n_shards(); ++i) parts.push_back(file_.shard(i).path());
    check_writable(options_.output, parts);
    Result result;
    if (!look_for_state()) {
        if (communicator_ != nullptr) ClusterLead(cluster_parts()).finish();
        result.complete = true;
        return result;
    }
    check_weights();
    tell_mismatches();
    set_nextn();
    collector_.know_roles(chunks_);
    if (!options_.spill_folder.empty() && !devices_.backends().front()->uses_host_memory())
        throw_error(ErrorKind::Usage, "--spill", "states stay on the device with {}; it needs --device cpu",
                    devices_.backends().front()->description());
    const bool resident = !waves_.streamed && waves_.device_bytes == 0;
    SaveRules rules{options_.save_every, options_.save_every_given || (resident && !pass_.options().unequal),
                    options_.snapshot_every, checkpoint_.chunks_before()};
    if (options_.wave_chunks > 0) rules.save_every_binding = options_.save_every_given;
    wave_chunks_ = waves_.wave_chunks;
    if (format_ == imatrix::Format::GgufExact && options_.in_files.empty() && chunks_.are_plain())
        saves_.describe({run_fingerprint(options_, file_, chunks_, *devices_.backends().front()),
                         chunks_.n_in_text,
                         {},
                         {}});
    const std::vector<WaveEnd> ends = wave_ends(rules);
    announce(std::ssize(ends));
    last_ = last_wave(ends);  // where all was done before
    start_ = Clock::now();
    report_losses(0);
    try {
        if (communicator_ != nullptr)
            lead_waves(rules);
        else
            run_waves(rules);
        fill_missing_experts();
        if (lead_) lead_->finish();
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

Result run(const Options& options, Observer& observer, cluster::Communicator* communicator) {
    if (communicator == nullptr) return Run(options, observer, nullptr).run();
    try {
        const Options mine = options_of_rank(options, *communicator);
        return Run(mine, observer, communicator).run();
    } catch (const Error& error) {
        if (communicator->rank() > 0) Follower::fail(*communicator, error);
        throw;
    }
}

}  // namespace assay::calibrate
