#include "calibrate/cluster_run.h"

#include <algorithm>
#include <chrono>

#include "backend/open.h"
#include "calibrate/devices.h"
#include "calibrate/gather.h"
#include "calibrate/memory.h"
#include "calibrate/wave_checkpoint.h"
#include "core/processors.h"
#include "engine/not_finite.h"

namespace assay::calibrate {

namespace {

using Clock = std::chrono::steady_clock;

WaveReport report_of(const Collected& collected, const cluster::Range& chunks) {
    WaveReport report;
    report.chunks = chunks;
    const auto first = static_cast<std::size_t>(chunks.first), count = static_cast<std::size_t>(chunks.count);
    const auto take = [&]<typename T>(std::vector<T>& some, const std::vector<T>& all) {
        for (std::size_t chunk = first; chunk < std::min(first + count, all.size()); ++chunk)
            some.push_back(all[chunk]);
    };
    take(report.losses.emplace_back(), collected.chunk_losses);
    for (const auto& block : collected.nextn_losses) take(report.losses.emplace_back(), block);
    take(report.role_losses, collected.role_losses);
    return report;
}

/// Moves what is known of chunks to the vector that has all of them, where they have other numbers.
template <typename T, typename Number>
void put(std::vector<T>& all, const std::map<std::int64_t, T>& some, Number number) {
    for (const auto& [chunk, value] : some) {
        all.resize(static_cast<std::size_t>(number(chunk)) + 1);
        all.back() = value;
    }
}

std::unique_ptr<Collector> new_collector(const ClusterParts& parts) {
    auto collector = std::make_unique<Collector>(imatrix::Matrix(), parts.stacks);
    collector->know_roles(parts.chunks);
    return collector;
}

/// Tokens of the longest wave that this rank can take.
std::int64_t longest_tokens(const ClusterParts& parts) {
    return std::min(parts.longest_wave, parts.chunks.n_chunks()) * parts.chunks.n_ctx;
}

/// Chunks of one deal, in as many waves as the devices' memory asks for, but for those that are left out.
/// `forced` as RoundOrder has it. tick(tokens) is called layer by layer; done(report) after each wave.
template <typename Tick, typename Done>
void run_dealt(const ClusterParts& parts, std::int64_t& longest_wave, const engine::ExpertLists& forced,
               const cluster::Range& chunks, Collector& collector, Tick tick, Done done) {
    const plan::PassPlan& pass = parts.team.member(0).plan();
    const std::int64_t end = chunks.first + chunks.count;
    std::map<std::int64_t, std::string> left_out;
    for (std::int64_t first = chunks.first; first < end;) {
        const auto next_out = left_out.lower_bound(first);
        const std::int64_t until = next_out == left_out.end() ? end : next_out->first;
        if (until == first) {
            WaveReport report;
            report.chunks = {first, 1};
            report.left_out = next_out->second;
            done(std::move(report));
            ++first;
            continue;
        }
        const std::int64_t count = std::min(
            fitting_chunks(parts.chunks, first, pass, longest_wave, parts.team.size()), until - first);
        const auto n_tokens = static_cast<double>(parts.chunks.tokens_of(first, count));
        const auto start = Clock::now();
        engine::Wave wave = parts.chunks.wave(first, count);
        if (!forced.empty()) wave.forced = &forced;
        const std::uint64_t read_before = parts.team.member(0).times().read_bytes;
        try {
            parts.team.run(wave, collector, [&](std::int64_t steps) {
                tick(n_tokens * static_cast<double>(steps) / static_cast<double>(pass.n_steps()));
            });
        } catch (const engine::NotFinite& error) {
            collector.abandon();
            if (!parts.may_leave_out || !forced.empty()) throw;
            left_out[error.chunk()] = error.finding();
            continue;
        } catch (const Error& error) {
            collector.abandon();
            if (error.kind() != ErrorKind::DeviceMemory) throw;
            longest_wave = parts.smaller_wave(count, error);
            continue;
        }
        collector.commit();
        WaveReport report = report_of(collector.committed(), {first, count});
        report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
        report.read_bytes = parts.team.member(0).times().read_bytes - read_before;
        done(std::move(report));
        first += count;
    }
}

/// Takes chunks out that are not out yet. Both lists have the numbers that chunks had before any was.
void leave_out(Chunks& chunks, std::vector<std::int64_t>& out, const std::vector<std::int64_t>& all) {
    for (const std::int64_t chunk : all) {
        const auto before = std::ranges::lower_bound(out, chunk);
        if (before != out.end() && *before == chunk) continue;
        const std::int64_t number = chunk - std::distance(out.begin(), before);
        if (number < 0 || number >= chunks.n_chunks())
            throw_error(ErrorKind::Internal, "rank 0", "leaves chunk {} out, of {} that are left", chunk,
                        chunks.n_chunks());
        chunks.leave_out(number);
        out.insert(before, chunk);
    }
}

}  // namespace

Options options_of_rank(const Options& options, const cluster::Communicator& communicator) {
    const cluster::Place& place = communicator.place(communicator.rank());
    Options mine = options;
    if (mine.n_threads == 0) mine.n_threads = std::max(1, available_processors() / place.sharing);
    if (mine.memory_bytes == 0 && place.local_size > 1)
        mine.memory_bytes = default_memory_bound() / static_cast<std::uint64_t>(place.local_size);
    const std::vector<std::string> devices = backend::list_devices(options.device, options.main_device);
    if (devices.front() != "cpu" && place.local_size > 1) {
        const auto n = devices.size();
        const auto rank = static_cast<std::size_t>(place.local_rank);
        const auto step = static_cast<std::size_t>(place.local_size);
        mine.device = devices[rank % n];
        for (std::size_t i = rank + step; i < n; i += step) mine.device += "," + devices[i];
        mine.main_device.reset();
    }
    if (communicator.rank() == 0) return mine;
    mine.in_files.clear();
    mine.checkpoint_folder.clear();
    mine.resume = false;
    return mine;
}

ClusterLead::ClusterLead(const ClusterParts& parts)
    : parts_(parts), leader_(parts.communicator, longest_tokens(parts)), longest_wave_(parts.longest_wave) {}

void ClusterLead::take_reports(const RoundHooks& hooks) {
    for (const WaveReport& report : leader_.take_reports()) {
        reported_ += parts_.chunks.tokens_of(report.chunks.first, report.chunks.count);
        if (!report.left_out.empty()) left_out_[report.chunks.first] = report.left_out;
        read_bytes_[parts_.communicator.place(report.rank).host] += report.read_bytes;
        losses_.resize(std::max(losses_.size(), report.losses.size()));
        for (std::size_t ahead = 0; ahead < report.losses.size(); ++ahead)
            for (std::size_t i = 0; i < report.losses[ahead].size(); ++i)
                losses_[ahead][report.chunks.first + static_cast<std::int64_t>(i)] = report.losses[ahead][i];
        for (std::size_t i = 0; i < report.role_losses.size(); ++i)
            role_losses_[report.chunks.first + static_cast<std::int64_t>(i)] = report.role_losses[i];
    }
    if (losses_.empty()) return;
    for (;; ++told_) {
        if (left_out_.contains(told_)) continue;
        const auto next = losses_[0].find(told_);
        if (next == losses_[0].end()) return;
        hooks.on_losses(number(told_), next->second);
    }
}

std::int64_t ClusterLead::number(std::int64_t chunk) const {
    return chunk - std::distance(left_out_.begin(), left_out_.lower_bound(chunk));
}

void ClusterLead::look_around(double in_wave, const RoundHooks& hooks) {
    leader_.check();
    take_reports(hooks);
    if (hooks.on_progress(static_cast<double>(reported_) + in_wave)) leader_.close_round();
    stop_if_asked();
}

void ClusterLead::stop_if_asked() {
    if (!parts_.observer.stop_requested() && !leader_.stop_requested()) return;
    leader_.stop();
    throw Stopped();
}

void ClusterLead::run_round(const cluster::Range& chunks, const RoundOrder& order, Collector& collector,
                            const RoundHooks& hooks) {
    try {
        stop_if_asked();
        if (parts_.ring != nullptr) parts_.ring->begin(++round_);
        leader_.begin_round(chunks, parts_.chunks.starts, order);
        while (const auto dealt = leader_.next())
            run_dealt(
                parts_, longest_wave_, order.forced, *dealt, collector,
                [&](double tokens) { look_around(tokens, hooks); },
                [&](WaveReport report) { leader_.done(std::move(report)); });
        if (parts_.ring != nullptr) parts_.ring->rest();
        while (!leader_.wait_for_others()) look_around(0, hooks);
    } catch (const Stopped&) {
        leader_.finish();  // no sooner: the others may have waited for this rank to take what is streamed
        throw;
    }
}

RoundResult ClusterLead::round(const cluster::Range& chunks, const RoundOrder& order,
                               const RoundHooks& hooks) {
    const auto collector = new_collector(parts_);
    reported_ = 0;
    told_ = chunks.first;
    losses_.clear();
    role_losses_.clear();
    left_out_.clear();
    read_bytes_.clear();
    run_round(chunks, order, *collector, hooks);
    take_reports(hooks);
    RoundResult result;
    result.read_bytes = read_bytes_;
    result.collected = std::move(collector->committed());
    gather_sums(parts_.communicator, result.collected);
    leader_.check();
    // Those of the others are not in the collector.
    result.collected.chunk_losses.clear();
    result.collected.nextn_losses.clear();
    result.collected.role_losses.clear();
    const auto renumbered = [&](std::int64_t chunk) { return number(chunk); };
    put(result.collected.role_losses, role_losses_, renumbered);
    for (std::size_t ahead = 0; ahead < losses_.size(); ++ahead)
        put(ahead == 0 ? result.collected.chunk_losses : result.collected.nextn_losses.emplace_back(),
            losses_[ahead], renumbered);
    result.end = number(leader_.dealt_end());
    result.early = leader_.dealt_end() < chunks.first + chunks.count;
    result.left_out = left_out_;
    return result;
}

void follow_cluster(const ClusterParts& parts) {
    std::int64_t longest_wave = parts.longest_wave;
    Follower follower(parts.communicator, longest_tokens(parts));
    auto collector = new_collector(parts);
    RoundOrder order;
    std::vector<std::int64_t> left_out;
    bool asked = false;
    std::uint64_t round = 1;
    const auto tick = [&](double) {
        if (parts.observer.stop_requested() && !std::exchange(asked, true)) follower.request_stop();
        if (follower.stopped()) throw Stopped();
    };
    while (true) {
        const Deal deal = follower.next();
        if (deal.kind == Deal::End) return;
        if (parts.ring != nullptr) parts.ring->begin(round);
        if (deal.kind == Deal::Begin) {
            order = deal.order;
            leave_out(parts.chunks, left_out, order.left_out);
            continue;
        }
        try {
            if (deal.kind == Deal::Gather) {
                if (parts.ring != nullptr) parts.ring->rest();
                ++round;
                gather_sums(parts.communicator, collector->committed());
                collector = new_collector(parts);
                continue;
            }
            run_dealt(parts, longest_wave, order.forced, deal.chunks, *collector, tick,
                      [&](const WaveReport& report) { follower.done(report); });
        } catch (const Stopped&) {
            collector->abandon();
        }
    }
}

}  // namespace assay::calibrate
