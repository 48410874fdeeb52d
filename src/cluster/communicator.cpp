#include "cluster/communicator.h"

#include <algorithm>
#include <cstdlib>
#include <sched.h>
#include <utility>

#include "core/bytes.h"
#include "core/error.h"
#include "core/thread_pool.h"

namespace assay::cluster {

namespace {

/// Tags beyond those of callers.
enum Tag { kBeat = 100, kHello, kBroadcast, kLeave, kNever, kPart };

/// A sender waits while so much is on its way; a receiver leaves messages on the wire while it holds so much.
constexpr std::size_t kMostBytes = std::size_t{256} << 20;

/// The processors that this process may use, as a mask in text.
std::string processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
    std::string mask(CPU_SETSIZE, '0');
    for (std::size_t i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(i, &set)) mask[i] = '1';
    return mask;
}

void write_text(ByteWriter& out, const std::string& text) {
    out.write(static_cast<std::uint64_t>(text.size()));
    out.write_text(text);
}

std::string read_text(ByteReader& in) {
    return std::string(in.take_text(in.read<std::uint64_t>("length"), "text"));
}

/// The parts of a message, each given back when it is copied, and the last of them.
std::vector<std::byte> joined(std::deque<std::vector<std::byte>>& parts, const std::vector<std::byte>& last) {
    std::size_t size = last.size();
    for (const auto& part : parts) size += part.size();
    std::vector<std::byte> bytes;
    bytes.reserve(size);
    for (; !parts.empty(); parts.pop_front())
        bytes.insert(bytes.end(), parts.front().begin(), parts.front().end());
    bytes.insert(bytes.end(), last.begin(), last.end());
    return bytes;
}

}  // namespace

Communicator::Communicator(std::function<std::unique_ptr<Transport>()> open, Timing timing,
                           std::size_t most_at_once)
    : timing_(timing),
      most_at_once_(most_at_once),
      thread_(start_thread([this, open = std::move(open)] { work(open); })) {
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return open_ || failure_; });
    }
    try {
        if (failure_) std::rethrow_exception(failure_);
        exchange_places();
    } catch (...) {
        thread_.join();
        throw;
    }
}

Communicator::~Communicator() {
    try {
        if (rank_ != 0)
            receive(kLeave);
        else
            for (int other = 1; other < size_; ++other) send(other, kLeave);
    } catch (...) {  // the others are not there to be waited for
    }
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Communicator::rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
}

std::string Communicator::name(int rank) const {
    return fmt::format("rank {} on {}", rank, place(rank).host);
}

void Communicator::send(int to, int tag, std::vector<std::byte> bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ || unsent_bytes_ < kMostBytes; });
    rethrow();
    sent_bytes_ += bytes.size();
    unsent_bytes_ += bytes.size();
    // The last part has the tag; messages between two ranks arrive in order, so the parts before it are its
    // own.
    std::span<const std::byte> left = bytes;
    for (; left.size() > most_at_once_; left = left.subspan(most_at_once_))
        outbox_.push_back(
            {to, kPart, {left.begin(), left.begin() + static_cast<std::ptrdiff_t>(most_at_once_)}});
    if (left.size() < bytes.size()) bytes = {left.begin(), left.end()};
    outbox_.push_back({to, tag, std::move(bytes)});
    changed_.notify_all();
}

bool Communicator::has(int tag) {
    const std::lock_guard lock(mutex_);
    return std::ranges::find(inbox_, tag, &Message::tag) != inbox_.end();
}

Message Communicator::receive(int tag, std::optional<int> from) { return *receive_unless(kNever, tag, from); }

std::optional<Message> Communicator::receive_unless(int unless, int tag, std::optional<int> from) {
    std::unique_lock lock(mutex_);
    const auto find = [&](int wanted, std::optional<int> sender) {
        return std::ranges::find_if(inbox_, [&](const Message& message) {
            return message.tag == wanted && message.from == sender.value_or(message.from);
        });
    };
    const auto there = [&](int wanted, std::optional<int> sender) {
        return find(wanted, sender) != inbox_.end();
    };
    changed_.wait(lock, [&] { return failure_ || there(tag, from) || there(unless, {}); });
    if (there(unless, {})) return std::nullopt;
    if (!there(tag, from)) rethrow();
    const auto found = find(tag, from);
    Message message = std::move(*found);
    inbox_.erase(found);
    inbox_bytes_ -= message.bytes.size();
    return message;
}

/// Along a binomial tree: rank r has it from r without its lowest bit.
void Communicator::broadcast(std::vector<std::byte>& bytes) {
    int below = 1;
    while (below < size_ && (rank_ & below) == 0) below <<= 1;
    if (rank_ != 0) bytes = receive(kBroadcast).bytes;
    for (int step = below >> 1; step > 0; step >>= 1)
        if (rank_ + step < size_) send(rank_ + step, kBroadcast, bytes);
}

std::uint64_t Communicator::sent_bytes() const {
    const std::lock_guard lock(mutex_);
    return sent_bytes_;
}

void Communicator::on_lost(std::function<void(const std::string&)> tell) {
    const std::lock_guard lock(mutex_);
    tell_lost_ = std::move(tell);
}

void Communicator::abort(int code) {
    std::unique_lock lock(mutex_);
    abort_ = code;
    changed_.notify_all();
    changed_.wait(lock, [] { return false; });
    std::abort();
}

/// Rank 0 hears who is where, and tells all.
void Communicator::exchange_places() {
    ByteWriter hello;
    write_text(hello, host_);
    write_text(hello, processors());
    if (rank_ != 0) send(0, kHello, hello.bytes());
    std::vector<std::byte> table;
    if (rank_ == 0) {
        std::vector<std::vector<std::byte>> all(static_cast<std::size_t>(size_));
        all[0] = hello.bytes();
        for (int i = 1; i < size_; ++i) {
            Message message = receive(kHello);
            all[static_cast<std::size_t>(message.from)] = std::move(message.bytes);
        }
        for (const auto& bytes : all) table.insert(table.end(), bytes.begin(), bytes.end());
    }
    broadcast(table);
    ByteReader reader(table, "the ranks' places");
    std::vector<std::string> masks;
    for (int i = 0; i < size_; ++i) {
        places_.push_back({read_text(reader), 0, 0, 0});
        masks.push_back(read_text(reader));
    }
    for (std::size_t i = 0; i < places_.size(); ++i)
        for (std::size_t j = 0; j < places_.size(); ++j) {
            if (places_[i].host != places_[j].host) continue;
            ++places_[i].local_size;
            places_[i].local_rank += j < i;
            places_[i].sharing += masks[i] == masks[j];
        }
}

void Communicator::work(const std::function<std::unique_ptr<Transport>()>& open) {
    try {
        const std::unique_ptr<Transport> transport = open();
        if (!transport) throw Error(ErrorKind::Unsupported, "MPI", "could not be started");
        {
            const std::lock_guard lock(mutex_);
            rank_ = transport->rank();
            size_ = transport->size();
            host_ = transport->host();
            heard_.assign(static_cast<std::size_t>(size_), Clock::now());
            parts_.resize(static_cast<std::size_t>(size_));
            beaten_ = Clock::now();
            open_ = true;
        }
        changed_.notify_all();
        move(*transport);
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
    }
}

bool Communicator::take_in(Transport& transport, std::optional<int> only) {
    std::optional<Message> message = transport.poll(only);
    if (!message) return false;
    heard_[static_cast<std::size_t>(message->from)] = Clock::now();
    if (message->tag == kBeat) return true;
    auto& parts = parts_[static_cast<std::size_t>(message->from)];
    if (message->tag == kPart) {
        parts.push_back(std::move(message->bytes));
        return true;
    }
    if (!parts.empty()) message->bytes = joined(parts, message->bytes);
    const std::lock_guard lock(mutex_);
    inbox_bytes_ += message->bytes.size();
    inbox_.push_back(std::move(*message));
    changed_.notify_all();
    return true;
}

void Communicator::move(Transport& transport) {
    std::chrono::milliseconds pause = timing_.poll;
    while (true) {
        std::deque<Outgoing> out;
        bool room = true, stop = false;
        {
            std::unique_lock lock(mutex_);
            if (outbox_.empty() && unsent_bytes_ == 0 && !abort_)
                changed_.wait_for(lock, pause, [&] { return abort_ || !outbox_.empty(); });
            out.swap(outbox_);
            room = inbox_bytes_ < kMostBytes;
            stop = stop_;
            if (abort_) transport.abort(*abort_);
        }
        bool moved = !out.empty();
        for (Outgoing& one : out) transport.send(one.to, one.tag, std::move(one.bytes));
        while (take_in(transport, kBeat)) {
        }
        while (room && take_in(transport, std::nullopt)) {
            moved = true;
            const std::lock_guard lock(mutex_);
            room = inbox_bytes_ < kMostBytes;
        }
        const std::size_t unsent = transport.unsent_bytes();
        {
            const std::lock_guard lock(mutex_);
            const std::size_t before = std::exchange(unsent_bytes_, unsent);
            for (const Outgoing& one : outbox_) unsent_bytes_ += one.bytes.size();
            if (unsent_bytes_ != before) changed_.notify_all();
        }
        pause = moved ? timing_.poll : std::min(2 * pause, timing_.rest);
        if (unsent > 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
        if (stop && unsent == 0 && out.empty()) return;
        if (!stop) watch(transport);
    }
}

/// Rank 0 and each of the others tell one another that they are there.
void Communicator::watch(Transport& transport) {
    const auto now = Clock::now();
    const int first = rank_ == 0 ? 1 : 0, last = rank_ == 0 ? size_ : 1;
    if (now - beaten_ >= timing_.beat) {
        // A process that stood still hears first what has been said meanwhile.
        const bool stood_still = now - beaten_ > 2 * timing_.beat;
        beaten_ = now;
        for (int other = first; other < last; ++other) transport.send(other, kBeat, {});
        if (stood_still) std::ranges::fill(heard_, now);
    }
    for (int other = first; other < last; ++other) {
        if (now - heard_[static_cast<std::size_t>(other)] < timing_.silence) continue;
        std::function<void(const std::string&)> tell;
        {
            const std::lock_guard lock(mutex_);
            tell = tell_lost_;
        }
        if (tell)
            tell(fmt::format("{} has not been heard of for {} s, so the run ends", name(other),
                             std::chrono::duration_cast<std::chrono::seconds>(timing_.silence).count()));
        transport.abort(1);
    }
}

}  // namespace assay::cluster
