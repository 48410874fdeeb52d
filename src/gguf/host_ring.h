// One ring for all ranks of a machine: each job is read into it once, by one of them, and the others take it
// from there.
//
// A *reading* is once through all jobs of the model; readings follow one another in the ring, so a job has a
// position counted on over all of them. A rank that has not come to a reading yet holds its first job as if
// it were about to take it: ranks that begin a wave within `patience` of each other share, and the foremost
// need not wait before the ring is full. Who has no wave rests, and nobody waits for it. Who comes when the
// first job is gone reads for itself until all begin a round together. A rank that ends, in whatever way,
// holds nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "core/shared_memory.h"
#include "gguf/job_memory.h"
#include "gguf/tensor_bytes.h"

namespace assay::gguf {

/// What tells the ranks of a machine where their ring is.
struct HostRingName {
    std::int64_t process = 0;
    std::int64_t descriptor = -1;
    std::uint64_t key = 0;  ///< drawn by lot; the memory begins with it
};

/// Safe to use from several threads, but for one reading at a time.
class HostRing {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kPatience{10000};

    /// Made by rank 0 of `n_ranks` on this machine, as large as the bound, or as the largest job. Throws
    /// Error{Io}.
    HostRing(const std::vector<FileRanges>& jobs, std::uint64_t bound_bytes, std::size_t n_ranks,
             std::chrono::milliseconds patience = kPatience);
    /// Rank `rank` takes part in what rank 0 has made. Throws Error{Io} where that cannot be had, or was made
    /// for other jobs.
    HostRing(const HostRingName& name, const std::vector<FileRanges>& jobs, std::size_t rank,
             std::chrono::milliseconds patience = kPatience);
    /// After its readings.
    ~HostRing();
    HostRing(const HostRing&) = delete;
    HostRing& operator=(const HostRing&) = delete;

    HostRingName name() const noexcept;
    std::size_t n_ranks() const noexcept;

    /// Takes part in a reading, from its first job on; what is given back must go before the ring. Null where
    /// a reading is under way whose first job is gone, or the jobs are others.
    std::unique_ptr<JobMemory> join(const std::vector<FileRanges>& jobs);
    /// All ranks begin together what they count as this round, from 1 on. Each says so before it joins or
    /// rests.
    void begin(std::uint64_t round);
    /// This rank has no wave any more in this round.
    void rest();
    /// Nor in any other.
    void retire();
    /// That all ranks have read into the ring.
    std::uint64_t read_bytes() const;

  private:
    class Reading;
    class Lock;
    struct Header;
    struct Member;

    void lay_out(std::size_t n_ranks);
    std::uint64_t next_start() const noexcept;
    std::uint64_t least_held() const noexcept;
    bool claim(std::uint64_t position, std::uint64_t bytes);
    void drop_absent(std::uint64_t position, Clock::time_point waiting_since);
    void leave(std::uint64_t next_start);
    void wake() const;
    std::span<std::byte> memory_of(std::uint64_t position) const noexcept;

    const std::vector<std::uint64_t> sizes_;  ///< of the jobs
    const std::size_t rank_;
    const std::chrono::milliseconds patience_;
    std::unique_ptr<SharedMemory> memory_;
    // In memory_.
    Header* header_ = nullptr;
    std::span<Member> members_;
    std::span<RingRun> runs_;  ///< by position, over and over
    std::span<std::byte> ring_;
};

}  // namespace assay::gguf
