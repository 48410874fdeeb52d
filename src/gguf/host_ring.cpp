#include "gguf/host_ring.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <linux/futex.h>
#include <numeric>
#include <pthread.h>
#include <random>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "core/fingerprint.h"
#include "gguf/weight_stream.h"

namespace assay::gguf {

namespace {

constexpr std::chrono::milliseconds kLook{100};  ///< between two looks at who is still there
constexpr std::int64_t kNobody = -1;

std::vector<std::uint64_t> sizes_of(const std::vector<FileRanges>& jobs) {
    std::vector<std::uint64_t> sizes;
    for (const FileRanges& job : jobs) sizes.push_back(JobBytes::size_bytes(job.ranges));
    return sizes;
}

/// Of what the jobs read, and where.
std::uint64_t fingerprint_of_jobs(const std::vector<FileRanges>& jobs) {
    Fingerprint fingerprint;
    const auto add = [&](auto value) { fingerprint.add(std::as_bytes(std::span(&value, 1))); };
    std::vector<const File*> files;
    for (const FileRanges& job : jobs) {
        add(job.ranges.size());
        for (const TensorRange& range : job.ranges) {
            add(range.tensor->shard);
            add(range.tensor->offset_bytes + range.begin_bytes);
            add(range.size_bytes);
        }
        if (std::ranges::find(files, job.file) == files.end()) files.push_back(job.file);
    }
    for (const File* file : files)
        for (std::size_t shard = 0; shard < file->n_shards(); ++shard) {
            struct stat status {};
            ::stat(file->shard(shard).path().c_str(), &status);
            add(status.st_dev);
            add(status.st_ino);
            add(status.st_size);
        }
    return fingerprint.value();
}

std::uint64_t round_up(std::uint64_t bytes) {
    constexpr std::uint64_t kPage = DirectFile::kAlignment;
    return (bytes + kPage - 1) / kPage * kPage;
}

bool has_ended(std::int64_t process) {
    return process != 0 && ::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
}

/// Until `word` is not `seen`, somebody wakes, or the time is over. A wait that no end of another process can
/// upset, as it would pthread_cond_wait().
void wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t seen) {
    static_assert(sizeof word == sizeof seen && std::atomic<std::uint32_t>::is_always_lock_free);
    const timespec time{0, std::chrono::nanoseconds(kLook).count()};
    ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &time, nullptr, 0);
}

}  // namespace

struct HostRing::Member {
    std::int64_t process = 0;  ///< 0: not here yet
    bool holds = true;         ///< others wait for it
    bool reads = false;        ///< takes part in a reading
    bool retired = false;
    std::uint64_t done = 0;                  ///< position before which it needs nothing
    Clock::time_point since = Clock::now();  ///< it has not read
};

struct HostRing::Header {
    std::uint64_t key = 0;
    std::uint64_t fingerprint = 0;
    std::uint64_t n_members = 0;
    std::uint64_t ring_bytes = 0;
    pthread_mutex_t mutex{};
    std::atomic<std::uint32_t> changed = 0;
    std::uint64_t round = 0;
    bool broken = false;  ///< a rank has ended while it wrote here
    // Positions: jobs before `read` have been read, of which those from `oldest` on are in the ring; `placed`
    // is one more while a rank reads.
    std::uint64_t oldest = 0;
    std::uint64_t placed = 0;
    std::uint64_t read = 0;
    std::int64_t reader = kNobody;
    std::uint64_t read_bytes = 0;
};

class HostRing::Lock {
  public:
    explicit Lock(Header& header) : header_(header) {
        if (::pthread_mutex_lock(&header_.mutex) != EOWNERDEAD) return;
        header_.broken = true;
        ::pthread_mutex_consistent(&header_.mutex);
    }
    ~Lock() { ::pthread_mutex_unlock(&header_.mutex); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

  private:
    Header& header_;
};

/// A rank's way through a reading.
class HostRing::Reading final : public JobMemory {
  public:
    Reading(HostRing& ring, std::uint64_t start)
        : ring_(ring), end_(start + ring.sizes_.size()), next_(start) {}
    ~Reading() override { ring_.leave(end_); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    std::optional<std::span<const std::byte>> next(std::uint64_t size_bytes, const Read& read) override;
    void release() override {
        {
            const Lock lock(*ring_.header_);
            ++ring_.members_[ring_.rank_].done;
        }
        ring_.wake();
    }
    void stop() override {
        stop_ = true;
        ring_.wake();
    }

  private:
    HostRing& ring_;
    const std::uint64_t end_;
    std::uint64_t next_;
    std::atomic<bool> stop_ = false;
};

HostRing::HostRing(const std::vector<FileRanges>& jobs, std::uint64_t bound_bytes, std::size_t n_ranks,
                   std::chrono::milliseconds patience)
    : sizes_(sizes_of(jobs)), rank_(0), patience_(patience) {
    const std::uint64_t head =
        round_up(sizeof(Header) + n_ranks * sizeof(Member) + jobs.size() * sizeof(RingRun));
    const std::uint64_t ring = round_up(std::max({bound_bytes, std::ranges::max(sizes_), std::uint64_t{1}}));
    memory_ = std::make_unique<SharedMemory>(head + ring);
    header_ = new (memory_->bytes().data()) Header;
    std::random_device random;
    header_->key = std::uint64_t{random()} << 32 | random();
    header_->fingerprint = fingerprint_of_jobs(jobs);
    header_->n_members = n_ranks;
    header_->ring_bytes = ring;
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&header_->mutex, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    lay_out(n_ranks);
    for (Member& member : members_) new (&member) Member;
    members_[0].process = ::getpid();
}

HostRing::HostRing(const HostRingName& name, const std::vector<FileRanges>& jobs, std::size_t rank,
                   std::chrono::milliseconds patience)
    : sizes_(sizes_of(jobs)),
      rank_(rank),
      patience_(patience),
      memory_(std::make_unique<SharedMemory>(name.process, name.descriptor)) {
    const std::uint64_t size = memory_->bytes().size();
    header_ = reinterpret_cast<Header*>(memory_->bytes().data());
    if (size < sizeof(Header) || header_->key != name.key)
        throw Error(ErrorKind::Io, "shared memory", "is not that of the first rank of this machine");
    if (header_->fingerprint != fingerprint_of_jobs(jobs) || rank >= header_->n_members)
        throw Error(ErrorKind::Io, "shared memory",
                    "the first rank of this machine reads another file, or in other pieces");
    lay_out(header_->n_members);
    const Lock lock(*header_);
    members_[rank_].process = ::getpid();
}

HostRing::~HostRing() { retire(); }

void HostRing::lay_out(std::size_t n_ranks) {
    const std::span<std::byte> all = memory_->bytes();
    static_assert(sizeof(Header) % alignof(Member) == 0 && sizeof(Member) % alignof(RingRun) == 0);
    members_ = {reinterpret_cast<Member*>(all.data() + sizeof(Header)), n_ranks};
    runs_ = {reinterpret_cast<RingRun*>(all.data() + sizeof(Header) + n_ranks * sizeof(Member)),
             sizes_.size()};
    ring_ = all.last(header_->ring_bytes);
}

HostRingName HostRing::name() const noexcept { return {::getpid(), memory_->descriptor(), header_->key}; }

std::size_t HostRing::n_ranks() const noexcept { return members_.size(); }

void HostRing::wake() const {
    ++header_->changed;
    ::syscall(SYS_futex, &header_->changed, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::span<std::byte> HostRing::memory_of(std::uint64_t position) const noexcept {
    const RingRun& run = runs_[position % runs_.size()];
    return ring_.subspan(run.begin % ring_.size(), run.end - run.begin);
}

/// Where a rank begins that has held nothing: with the reading under way where its first job is still there,
/// else with the one behind it.
std::uint64_t HostRing::next_start() const noexcept {
    // What has been read to its end is under way while a rank takes part.
    const bool under_way = header_->read > 0 && std::ranges::any_of(members_, &Member::reads);
    const std::uint64_t start = (header_->read - under_way) / sizes_.size() * sizes_.size();
    return start >= header_->oldest ? start : start + sizes_.size();
}

std::uint64_t HostRing::least_held() const noexcept {
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
    for (const Member& member : members_)
        if (member.holds) least = std::min(least, member.done);
    return least;
}

std::unique_ptr<JobMemory> HostRing::join(const std::vector<FileRanges>& jobs) {
    if (sizes_of(jobs) != sizes_) return nullptr;
    const Lock lock(*header_);
    Member& self = members_[rank_];
    const std::uint64_t start = self.holds ? self.done : next_start();
    const auto is_before = [&](const Member& member) { return member.holds && member.done < start; };
    const bool under_way = start > header_->read && std::ranges::any_of(members_, [&](const Member& member) {
                               return is_before(member) && member.reads;
                           });
    self.holds = !under_way && !header_->broken;
    if (!self.holds) return nullptr;
    if (start > header_->read)  // all have left the one before
        for (Member& member : members_)
            if (is_before(member)) member.done = start;
    self.reads = true;
    self.done = start;
    return std::make_unique<Reading>(*this, start);
}

void HostRing::leave(std::uint64_t next_start) {
    {
        const Lock lock(*header_);
        Member& self = members_[rank_];
        self.reads = false;
        self.done = next_start;
        self.since = Clock::now();
    }
    wake();
}

void HostRing::rest() {
    {
        const Lock lock(*header_);
        members_[rank_].holds = false;
    }
    wake();
}

void HostRing::retire() {
    {
        const Lock lock(*header_);
        members_[rank_].retired = true;
    }
    rest();
}

void HostRing::begin(std::uint64_t round) {
    const Lock lock(*header_);
    if (round <= header_->round) return;  // another rank was the first
    header_->round = round;
    const std::uint64_t start = next_start();
    for (Member& member : members_) {
        if (member.retired) continue;
        if (!member.holds) member.done = start;
        member.holds = true;
        member.since = Clock::now();
    }
}

std::uint64_t HostRing::read_bytes() const {
    const Lock lock(*header_);
    return header_->read_bytes;
}

/// Whether this rank, which wants this job next, is to read it now: nobody does, and there is room.
bool HostRing::claim(std::uint64_t position, std::uint64_t bytes) {
    Header& header = *header_;
    if (header.reader != kNobody) return false;
    const std::uint64_t least = least_held();
    if (position > header.read) {  // all who were to read what is before have left
        if (least < position) return false;
        header.oldest = header.placed = header.read = position;
    }
    while (header.placed == position) {  // otherwise one has begun to read it, and ended
        const bool empty = header.oldest == position;
        const auto run = place_run(ring_.size(), empty ? nullptr : &runs_[header.oldest % runs_.size()],
                                   empty ? nullptr : &runs_[(position - 1) % runs_.size()], bytes);
        if (run && position - header.oldest < runs_.size())
            runs_[header.placed++ % runs_.size()] = *run;
        else if (header.oldest < least)
            ++header.oldest;
        else
            return false;
    }
    header.reader = static_cast<std::int64_t>(rank_);
    return true;
}

/// Nobody waits any more for ranks that have ended, nor for those that have not come in time.
void HostRing::drop_absent(std::uint64_t position, Clock::time_point waiting_since) {
    if (header_->reader != kNobody && has_ended(members_[static_cast<std::size_t>(header_->reader)].process))
        header_->reader = kNobody;
    for (Member& member : members_) {
        if (!member.holds || member.done >= position) continue;
        const bool late = !member.reads && Clock::now() - std::max(member.since, waiting_since) > patience_;
        if (late || has_ended(member.process)) member.holds = member.reads = false;
    }
}

std::optional<std::span<const std::byte>> HostRing::Reading::next(std::uint64_t size_bytes,
                                                                  const Read& read) {
    Header& header = *ring_.header_;
    const std::uint64_t position = next_++;
    const auto waiting_since = Clock::now();
    while (true) {
        const std::uint32_t seen = header.changed;
        if (stop_) return std::nullopt;
        {
            const Lock lock(header);
            if (header.broken)
                throw Error(ErrorKind::Internal, "shared memory", "another rank of this machine has ended");
            if (position < header.read) return ring_.memory_of(position);
            if (ring_.claim(position, size_bytes)) break;
            ring_.drop_absent(position, waiting_since);
        }
        wait_for_change(header.changed, seen);
    }
    const std::span<std::byte> memory = ring_.memory_of(position);
    const auto end_read = [&](bool is_read) {
        {
            const Lock lock(header);
            header.reader = kNobody;
            header.read += is_read;
            header.read_bytes += is_read ? size_bytes : 0;
        }
        ring_.wake();
    };
    try {
        read(memory);
    } catch (...) {
        end_read(false);  // others try for themselves
        throw;
    }
    end_read(true);
    return memory;
}

}  // namespace assay::gguf
