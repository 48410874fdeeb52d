// The waves of a run: on this process's devices alone, or on those of all ranks.
#include <algorithm>
#include <fmt/format.h>

#include "calibrate/check_tensors.h"
#include "calibrate/run.h"
#include "core/error.h"

namespace assay::calibrate {

void Run::show_progress(std::int64_t first, std::int64_t count, double tokens) {
    Progress shown;
    shown.chunks_done = first;
    shown.chunks_in_wave = count;
    shown.n_layers = pass_.n_steps();
    shown.layers_done = static_cast<std::int64_t>(tokens * static_cast<double>(shown.n_layers) /
                                                      static_cast<double>(chunks_.tokens_of(first, count)) +
                                                  0.5);
    const double done = static_cast<double>(chunks_.tokens_of(0, first)) + tokens;
    shown.work_done = done / static_cast<double>(chunks_.starts.back());
    shown.elapsed_seconds = seconds();
    shown.tokens_per_second =
        (done - static_cast<double>(chunks_.tokens_of(0, chunks_resumed_))) / shown.elapsed_seconds;
    observer_.on_progress(shown);
}

void Run::run_part(std::int64_t first, std::int64_t count, const engine::WaveStart* start,
                   WaveCheckpoint* keeper) {
    const auto progress = [&](std::int64_t steps) {
        saves_.tell_when_done();
        if (keeper != nullptr)
            if (const auto failure = keeper->take_failure()) saves_.tell_state_failure(*failure);
        show_progress(first, count,
                      static_cast<double>(chunks_.tokens_of(first, count) * steps) /
                          static_cast<double>(pass_.n_steps()));
        if (!observer_.stop_requested()) return;
        if (keeper == nullptr) throw Stopped();
        keeper->stop();
    };
    engine::Wave wave = chunks_.wave(first, count);
    wave.start = start;
    wave.keeper = keeper;
    team_.run(wave, collector_, progress);
}

void Run::run_wave(std::int64_t first, std::int64_t count) {
    WaveCheckpoint keeper(checkpoint_, collector_, pass_, {first, count, 0});
    WaveCheckpoint* const asked = checkpoint_.enabled() ? &keeper : nullptr;
    try {
        if (begun_) {
            // Its chunks may have to go on in several runs, where memory is shorter than it was; between them
            // the state is the one that they began with.
            const engine::WaveStart start = begun_->wave_start(pass_, chunks_.starts);
            const bool whole = count <= fitting_chunks(first);
            for (std::int64_t next = first; next < first + count;) {
                const std::int64_t some = std::min(fitting_chunks(next), first + count - next);
                run_part(next, some, &start, whole ? asked : nullptr);
                next += some;
            }
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
        report_losses(static_cast<std::int64_t>(chunk), losses[chunk]);
    }
}

void Run::report_losses(std::int64_t chunk, const perplexity::Sums& losses) {
    losses_.merge(losses);
    if (losses_.count > 0) observer_.on_perplexity(chunk + 1, losses_.running());
}

void Run::report_coverage() {
    const stats::Coverage coverage = stats::coverage(collector_.committed().matrix);
    if (!coverage.experts.empty()) observer_.on_coverage(coverage, chunks_done_);
}

std::int64_t Run::smaller_wave(std::int64_t count, const Error& error) {
    const auto n_devices = static_cast<std::int64_t>(team_.size());
    if (count <= n_devices || wave_chunks_ <= n_devices)  // a chunk each
        throw_error(ErrorKind::DeviceMemory, error.where(),
                    "{}; one chunk of {} tokens does not fit: a smaller --ctx-size, --device cpu or closing "
                    "other programs that use the device would help",
                    error.message(), options_.n_ctx);
    if (!wave_halved_)
        observer_.on_note(
            fmt::format("{} does not have the memory for {} chunks at a time; going on with fewer",
                        error.where(), count));
    wave_halved_ = true;
    return std::min(chunks_.full_chunks(chunks_done_, count), wave_chunks_) / 2;
}

bool Run::leave_out(std::int64_t chunk, const std::string& finding) {
    if (options_.on_nan == OnNan::Stop || chunks_.n_chunks() <= 1) return false;
    saves_.finish();                // which reads what changes now
    checkpoint_.settle_identity();  // which is that of the whole text
    std::vector<std::int64_t>& skipped = collector_.committed().skipped;
    std::int64_t number = options_.skip_chunks + chunk + 1;
    for (const std::int64_t before : skipped) number += before <= number;
    observer_.on_note(fmt::format("chunk {} of the text is left out: {}", number, finding));
    chunks_.leave_out(chunk);
    skipped.insert(std::ranges::upper_bound(skipped, number), number);
    return true;
}

WaveEnd Run::next_end(const SaveRules& rules) const {
    if (!begun_) return next_wave(chunks_done_, chunks_.n_chunks(), fitting_chunks(chunks_done_), rules);
    // The wave ends where it was to end when it began.
    const std::int64_t count = begun_->head().position.wave_chunks;
    const WaveEnd end = next_wave(chunks_done_, chunks_.n_chunks(), count, rules);
    return end.chunks_done == chunks_done_ + count ? end : WaveEnd{chunks_done_ + count, true, false};
}

void Run::run_waves(const SaveRules& rules) {
    while (chunks_done_ < chunks_.n_chunks()) {
        if (chunks_done_ > 0 && observer_.stop_requested()) throw Stopped();
        const WaveEnd end = next_end(rules);
        const std::int64_t count = end.chunks_done - chunks_done_;
        try {
            run_wave(chunks_done_, count);
        } catch (const engine::NotFinite& error) {
            undo_wave();
            if (!leave_out(error.chunk(), error.finding()))
                explain_not_finite(file_, n_blocks(), error, options_.n_threads);
            // Its hidden states hold the chunk.
            if (begun_) collector_.abandon();
            begun_.reset();
            continue;
        } catch (const Error& error) {
            undo_wave();
            if (error.kind() != ErrorKind::DeviceMemory) throw;
            wave_chunks_ =
                smaller_wave(begun_ ? std::min(count, fitting_chunks(chunks_done_)) : count, error);
            continue;
        }
        last_ = {chunks_done_ - count, count};
        if (last_.first == 0 || chunks_done_ == chunks_.n_chunks()) report_coverage();
        saves_.after_wave(end, chunks_done_ == chunks_.n_chunks());
    }
}

ClusterParts Run::cluster_parts() {
    return {*communicator_,
            observer_,
            team_,
            chunks_,
            stacks_,
            waves_.streamed ? ring_.get() : nullptr,
            waves_.wave_chunks,
            options_.on_nan == OnNan::SkipChunk,
            [this](std::int64_t count, const Error& error) { return smaller_wave(count, error); }};
}

void Run::lead_waves(const SaveRules& rules) {
    // Of an earlier run whole waves go on, and none that was under way.
    collector_.abandon();
    begun_.reset();
    SaveRules round_rules = rules;
    round_rules.save_every_binding = options_.save_every_given;
    lead_ = std::make_unique<ClusterLead>(cluster_parts());
    while (chunks_done_ < chunks_.n_chunks()) {
        WaveEnd end = next_wave(chunks_done_, chunks_.n_chunks(), chunks_.n_chunks(), round_rules);
        const RoundHooks hooks{
            [&](std::int64_t chunk, const perplexity::Sums& losses) { report_losses(chunk, losses); },
            [&](double tokens) {
                show_progress(chunks_done_, end.chunks_done - chunks_done_, tokens);
                saves_.tell_when_done();
                return checkpoint_.due();
            }};
        RoundResult round;
        try {
            round = lead_->round({chunks_done_, end.chunks_done - chunks_done_}, round_order(), hooks);
        } catch (const engine::NotFinite& error) {
            explain_not_finite(file_, n_blocks(), error, options_.n_threads);
        }
        saves_.finish();  // which reads what changes now
        std::int64_t n_before = 0;
        for (const auto& [chunk, finding] : round.left_out)
            if (!leave_out(chunk - n_before++, finding))
                throw_error(ErrorKind::Numeric, options_.dataset,
                            "no chunk is left that gives numbers; of the last one {}", finding);
        collector_.add(round.collected);
        for (const auto& [host, bytes] : round.read_bytes)
            if (bytes > 0) read_bytes_[host] += bytes;
        if (round.end < end.chunks_done) end = {round.end, round.early, false};
        last_ = {chunks_done_, round.end - chunks_done_};
        chunks_done_ = round.end;
        if (last_.count == 0) continue;
        if (last_.first == 0 || chunks_done_ == chunks_.n_chunks()) report_coverage();
        saves_.after_wave(end, chunks_done_ == chunks_.n_chunks());
    }
    last_ = last_wave(wave_ends(rules));
}

RoundOrder Run::round_order() const {
    RoundOrder order;
    for (const std::int64_t number : collector_.committed().skipped)
        order.left_out.push_back(number - options_.skip_chunks - 1);
    return order;
}

std::vector<WaveEnd> Run::wave_ends(const SaveRules& rules) const {
    return schedule(
        chunks_.n_chunks(), [this](std::int64_t done) { return fitting_chunks(done); }, rules);
}

engine::ChunkRange Run::last_wave(const std::vector<WaveEnd>& ends) const {
    const std::int64_t first = ends.size() > 1 ? ends[ends.size() - 2].chunks_done : 0;
    return {first, chunks_.n_chunks() - first};
}

}  // namespace assay::calibrate
