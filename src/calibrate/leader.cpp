#include "calibrate/leader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "calibrate/cluster_tags.h"
#include "calibrate/messages.h"
#include "core/thread_pool.h"

namespace assay::calibrate {

namespace {

enum class Says : std::uint64_t { Ask, Done, Stop, Failed, Quit };

ByteWriter saying(Says what) {
    ByteWriter out;
    out.write(static_cast<std::uint64_t>(what));
    return out;
}

void write_sums(ByteWriter& out, const perplexity::Sums& sums) {
    out.write(sums.nll);
    out.write(sums.nll_squared);
    out.write(sums.count);
}

perplexity::Sums read_sums(ByteReader& in) {
    perplexity::Sums sums;
    sums.nll = in.read<double>("nll");
    sums.nll_squared = in.read<double>("nll squared");
    sums.count = in.read<std::uint64_t>("count");
    return sums;
}

void write_report(ByteWriter& out, const WaveReport& report) {
    out.write(report.chunks.first);
    out.write(report.chunks.count);
    out.write(report.seconds);
    out.write(report.read_bytes);
    out.write(static_cast<std::uint64_t>(report.losses.size()));
    for (const auto& chunks : report.losses) {
        out.write(static_cast<std::uint64_t>(chunks.size()));
        for (const perplexity::Sums& sums : chunks) write_sums(out, sums);
    }
    out.write(static_cast<std::uint64_t>(report.role_losses.size()));
    for (const RoleLosses& roles : report.role_losses)
        for (const perplexity::Sums& sums : roles) write_sums(out, sums);
    write_text(out, report.left_out);
}

WaveReport read_report(ByteReader& in) {
    constexpr std::uint64_t kSums = 3 * sizeof(double);
    WaveReport report;
    report.chunks.first = in.read<std::int64_t>("first chunk");
    report.chunks.count = in.read<std::int64_t>("chunks");
    report.seconds = in.read<double>("seconds");
    report.read_bytes = in.read<std::uint64_t>("bytes read");
    report.losses.resize(read_count(in, sizeof(std::uint64_t), "blocks"));
    for (auto& chunks : report.losses) {
        chunks.resize(read_count(in, kSums, "losses"));
        for (perplexity::Sums& sums : chunks) sums = read_sums(in);
    }
    report.role_losses.resize(read_count(in, kSums * documents::kRoles.size(), "losses by role"));
    for (RoleLosses& roles : report.role_losses)
        for (perplexity::Sums& sums : roles) sums = read_sums(in);
    report.left_out = read_text(in, "text");
    return report;
}

void write_order(ByteWriter& out, const RoundOrder& order) {
    write_values(out, order.left_out);
    out.write(static_cast<std::uint64_t>(order.forced.size()));
    for (const auto& [weight, experts] : order.forced) {
        write_text(out, weight);
        write_values(out, experts);
    }
}

RoundOrder read_order(ByteReader& in) {
    RoundOrder order;
    order.left_out = read_values<std::int64_t>(in, "numbers");
    for (auto n = read_count(in, sizeof(std::uint64_t), "weights"); n > 0; --n) {
        const std::string weight = read_text(in, "text");
        order.forced[weight] = read_values<std::int64_t>(in, "numbers");
    }
    return order;
}

void write_failure(ByteWriter& out, const Error& error) {
    out.write(static_cast<std::uint64_t>(error.kind()));
    write_text(out, error.what());
}

Error read_failure(ByteReader& in) {
    const auto kind = static_cast<ErrorKind>(in.read<std::uint64_t>("kind"));
    return Error(kind, in.where(), read_text(in, "text"));
}

/// The longest waves of all ranks, by rank.
std::vector<std::int64_t> hear_longest(cluster::Communicator& communicator, std::int64_t own) {
    std::vector<std::int64_t> longest(static_cast<std::size_t>(communicator.size()), own);
    for (int i = 1; i < communicator.size(); ++i) {
        const cluster::Message message = communicator.receive(kReady);
        ByteReader in(message.bytes, communicator.name(message.from));
        longest[static_cast<std::size_t>(message.from)] = in.read<std::int64_t>("longest wave");
        if (in.remaining() > 0) throw read_failure(in);
    }
    return longest;
}

}  // namespace

Leader::Leader(cluster::Communicator& communicator, std::int64_t longest)
    : communicator_(communicator),
      dealer_(hear_longest(communicator, longest)),
      ordered_(static_cast<std::size_t>(communicator.size()), false),
      through_(static_cast<std::size_t>(communicator.size()), false),
      thread_(start_thread([this] { serve(); })) {}

Leader::~Leader() {
    try {
        communicator_.send(0, kToLeader, saying(Says::Quit).bytes());
    } catch (...) {  // then it has ended with the communicator
    }
    thread_.join();
}

void Leader::serve() {
    try {
        while (true) {
            const cluster::Message message = communicator_.receive(kToLeader);
            ByteReader in(message.bytes, communicator_.name(message.from));
            const std::lock_guard lock(mutex_);
            switch (static_cast<Says>(in.read<std::uint64_t>("message"))) {
                case Says::Quit: return;
                case Says::Ask: answer(message.from); break;
                case Says::Stop: stop_requested_ = true; break;
                case Says::Done: take(message.from, read_report(in)); break;
                case Says::Failed: {
                    if (!failure_) failure_ = read_failure(in);
                    break;
                }
            }
            changed_.notify_all();
        }
    } catch (const Error& error) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = error;
        changed_.notify_all();
    }
}

void Leader::take(int rank, WaveReport report) {
    const cluster::Range& done = report.chunks;
    const auto fits = [&](const auto& chunks) { return std::ssize(chunks) <= done.count; };
    if (done.first < round_begin_ || done.first > dealt_end_ || done.count < 0 ||
        done.count > dealt_end_ - done.first || !fits(report.role_losses) ||
        !std::ranges::all_of(report.losses, fits))
        throw_error(ErrorKind::Internal, communicator_.name(rank),
                    "reports {} chunks from {} on, of which {} to {} were dealt", done.count, done.first,
                    round_begin_, dealt_end_);
    dealer_.measured(static_cast<std::size_t>(rank), done, report.seconds);
    report.rank = rank;
    reports_.push_back(std::move(report));
}

void Leader::answer(int rank) {
    Deal deal;
    // Who is through with this round, though others are not, waits for the next.
    if (!ended_ && (!open_ || through_[static_cast<std::size_t>(rank)])) {
        waiting_.push_back(rank);
        return;
    }
    if (!ended_ && !ordered_[static_cast<std::size_t>(rank)]) {
        deal.kind = Deal::Begin;
        ordered_[static_cast<std::size_t>(rank)] = true;
    } else if (!ended_) {
        const auto range = deal_to(static_cast<std::size_t>(rank));
        deal.kind = range ? Deal::Work : Deal::Gather;
        if (range) deal.chunks = *range;
        if (!range) through_[static_cast<std::size_t>(rank)] = true;
        if (std::all_of(through_.begin() + 1, through_.end(), [](bool through) { return through; }))
            open_ = false;
    }
    left_ += deal.kind == Deal::End;
    ByteWriter out;
    out.write(static_cast<std::int64_t>(deal.kind));
    out.write(deal.chunks.first);
    out.write(deal.chunks.count);
    if (deal.kind == Deal::Begin) write_order(out, order_);
    communicator_.send(rank, kDeal, out.bytes());
}

std::optional<cluster::Range> Leader::deal_to(std::size_t rank) {
    const auto range = dealer_.next(rank);
    if (range) dealt_end_ = range->first + range->count;
    return range;
}

void Leader::begin_round(const cluster::Range& chunks, std::span<const std::int64_t> starts,
                         const RoundOrder& order) {
    const std::lock_guard lock(mutex_);
    order_ = order;
    dealer_.begin(chunks, starts);
    round_begin_ = dealt_end_ = chunks.first;
    std::fill(ordered_.begin(), ordered_.end(), false);
    std::fill(through_.begin(), through_.end(), false);
    open_ = communicator_.size() > 1;
    for (const int rank : std::exchange(waiting_, {})) answer(rank);
}

std::optional<cluster::Range> Leader::next() {
    check();
    const std::lock_guard lock(mutex_);
    return deal_to(0);
}

void Leader::done(WaveReport report) {
    const std::lock_guard lock(mutex_);
    take(0, std::move(report));
}

std::vector<WaveReport> Leader::take_reports() {
    const std::lock_guard lock(mutex_);
    return std::exchange(reports_, {});
}

void Leader::check() {
    const std::lock_guard lock(mutex_);
    if (failure_) throw Error(*failure_);
}

bool Leader::stop_requested() {
    const std::lock_guard lock(mutex_);
    return stop_requested_;
}

void Leader::close_round() {
    const std::lock_guard lock(mutex_);
    dealer_.close();
}

std::int64_t Leader::dealt_end() {
    const std::lock_guard lock(mutex_);
    return dealt_end_;
}

void Leader::stop() {
    {
        const std::lock_guard lock(mutex_);
        open_ = false;
    }
    for (int rank = 1; rank < communicator_.size(); ++rank) communicator_.send(rank, kStop);
}

bool Leader::wait_for_others() {
    check();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return !open_ || failure_; });
    return !open_;
}

void Leader::finish() {
    std::unique_lock lock(mutex_);
    ended_ = true;
    for (const int rank : std::exchange(waiting_, {})) answer(rank);
    changed_.wait(lock, [&] { return failure_ || left_ == communicator_.size() - 1; });
}

Follower::Follower(cluster::Communicator& communicator, std::int64_t longest) : communicator_(communicator) {
    ByteWriter out;
    out.write(longest);
    communicator_.send(0, kReady, out.bytes());
}

Deal Follower::next() {
    communicator_.send(0, kToLeader, saying(Says::Ask).bytes());
    const cluster::Message message = communicator_.receive(kDeal);
    ByteReader in(message.bytes, "rank 0");
    Deal deal;
    deal.kind = static_cast<Deal::Kind>(in.read<std::int64_t>("deal"));
    deal.chunks.first = in.read<std::int64_t>("first chunk");
    deal.chunks.count = in.read<std::int64_t>("chunks");
    if (deal.kind == Deal::Begin) deal.order = read_order(in);
    return deal;
}

void Follower::done(const WaveReport& report) {
    ByteWriter out = saying(Says::Done);
    write_report(out, report);
    communicator_.send(0, kToLeader, out.bytes());
}

bool Follower::stopped() const { return communicator_.has(kStop); }

void Follower::request_stop() { communicator_.send(0, kToLeader, saying(Says::Stop).bytes()); }

void Follower::fail(cluster::Communicator& communicator, const Error& error) {
    ByteWriter out = saying(Says::Failed);
    write_failure(out, error);
    communicator.send(0, kToLeader, out.bytes());
    // The leader may be waiting for this rank to be ready.
    ByteWriter unready;
    unready.write(std::int64_t{0});
    write_failure(unready, error);
    communicator.send(0, kReady, unready.bytes());
}

}  // namespace assay::calibrate
