// Where the jobs of a stream lie while they are used: in a ring of this process, or in one that the ranks of
// a machine share (host_ring.h).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "core/file.h"

namespace assay::gguf {

/// A job's place in a ring, counted on over all rounds; the offset is the rest by the ring's size.
struct RingRun {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

/// A new run in a ring of size_bytes >= 1, in one piece, behind the runs from `oldest` to `newest` (null:
/// none) or at the start. Nothing where there is no room now; never so when the ring is empty and the run no
/// larger.
std::optional<RingRun> place_run(std::uint64_t size_bytes, const RingRun* oldest, const RingRun* newest,
                                 std::uint64_t bytes) noexcept;

/// next() and release() may be called from different threads.
class JobMemory {
  public:
    using Read = std::function<void(std::span<std::byte>)>;

    virtual ~JobMemory() = default;
    /// The next job's bytes, valid until it is released: waits for room, and calls `read` to fill it unless
    /// another has done so. Nothing once stop() was called. Throws what `read` throws, for good.
    virtual std::optional<std::span<const std::byte>> next(std::uint64_t size_bytes, const Read& read) = 0;
    /// The oldest job is free again; there must be one.
    virtual void release() = 0;
    virtual void stop() = 0;
};

/// One piece of memory that is used over and over: fresh pages would all be cleared first, a tenth of a short
/// wave's processor time.
class OwnRing final : public JobMemory {
  public:
    explicit OwnRing(std::uint64_t size_bytes) : memory_(size_bytes) {}

    std::optional<std::span<const std::byte>> next(std::uint64_t size_bytes, const Read& read) override;
    void release() override;
    void stop() override;

  private:
    const PageMemory memory_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<RingRun> runs_;  ///< oldest first
    bool stop_ = false;
};

}  // namespace assay::gguf
