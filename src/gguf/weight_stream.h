// Weights that are larger than memory: read past the page cache, in order, ahead of their preparation.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/file.h"
#include "gguf/tensor_bytes.h"

namespace assay::gguf {

/// The ranges of one job, as they have been read.
class StreamStage : public TensorBytes {
  public:
    /// Reads the ranges into `memory`, size_bytes() of them, aligned to pages. The file and the memory are
    /// borrowed. Throws Error{Io}.
    StreamStage(const File& file, const std::vector<DirectFile>& shards,
                const std::vector<TensorRange>& ranges, std::span<std::byte> memory);

    /// From the stage when it holds the range, else from the mapped file (small tensors: norms, biases).
    std::span<const std::byte> get(const TensorRange& range) const override;

    /// Memory that these ranges take.
    static std::uint64_t size_bytes(const std::vector<TensorRange>& ranges) noexcept;

  private:
    struct Piece {
        TensorRange range;
        std::span<const std::byte> bytes;
    };
    std::vector<Piece> pieces_;
};

/// Where stages lie in one piece of memory that is used over and over: fresh pages would all be cleared
/// first, a tenth of a short wave's processor time. Each is in one run, behind the one before it or at the
/// start.
class Ring {
  public:
    /// `size_bytes` >= 1.
    explicit Ring(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

    /// Offset of a new run, if there is room now; always so when the ring is empty and the run no larger.
    std::optional<std::uint64_t> place(std::uint64_t bytes);
    /// The oldest run is free again; there must be one.
    void release() { runs_.pop_front(); }

  private:
    struct Run {
        std::uint64_t begin = 0;  ///< counted on over all rounds; the offset is the rest by the size
        std::uint64_t end = 0;
    };
    std::uint64_t size_bytes_;
    std::deque<Run> runs_;  ///< oldest first
};

/// A thread that reads stages in order, once for all readers: passes over the same file on several devices.
/// All stages that are being read, wait, or are in use by any reader lie in `bound_bytes`, or in as much as
/// the largest takes; so the foremost reader waits for the last one.
class WeightStream {
  public:
    /// The file is borrowed. Each of `n_readers` >= 1 must take all stages, or leave.
    WeightStream(const File& file, std::vector<std::vector<TensorRange>> jobs, std::uint64_t bound_bytes,
                 std::size_t n_readers);
    /// Stops after the read in progress. Nobody reads any more.
    ~WeightStream();
    WeightStream(const WeightStream&) = delete;
    WeightStream& operator=(const WeightStream&) = delete;

    /// The reader's next stage, waiting for it; the one it took before must be gone. Rethrows a failed read.
    /// Throws Error{Internal} once the reader is interrupted.
    std::shared_ptr<const StreamStage> take(std::size_t reader);
    void interrupt(std::size_t reader);
    /// The reader holds no stage and takes no more.
    void leave(std::size_t reader);

    /// Seconds in which the disk was being read.
    double reading_seconds() const;

  private:
    struct Reader {
        std::size_t done = 0;  ///< stages that it is done with
        std::size_t next = 0;
        bool interrupted = false;
    };
    void work();
    void release_done();

    const File& file_;
    const std::vector<std::vector<TensorRange>> jobs_;
    std::vector<DirectFile> shards_;
    const PageMemory memory_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    Ring ring_;  ///< of memory_: stages that are being read, wait, or are in use
    std::vector<Reader> readers_;
    std::deque<std::shared_ptr<const StreamStage>> stages_;  ///< read, and not yet done with by all readers
    std::size_t n_released_ = 0;                             ///< stages before these
    double reading_seconds_ = 0;
    bool stop_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

/// One of the readers; leaves at its end. Keeps the stream alive.
class StreamReader {
  public:
    StreamReader(std::shared_ptr<WeightStream> stream, std::size_t index)
        : stream_(std::move(stream)), index_(index) {}
    ~StreamReader() { stream_->leave(index_); }
    StreamReader(const StreamReader&) = delete;
    StreamReader& operator=(const StreamReader&) = delete;

    std::shared_ptr<const StreamStage> take() { return stream_->take(index_); }
    void interrupt() { stream_->interrupt(index_); }
    double reading_seconds() const { return stream_->reading_seconds(); }

  private:
    std::shared_ptr<WeightStream> stream_;
    std::size_t index_;
};

/// A stream and its readers.
std::vector<std::unique_ptr<StreamReader>> open_stream(const File& file,
                                                       std::vector<std::vector<TensorRange>> jobs,
                                                       std::uint64_t bound_bytes, std::size_t n_readers);

}  // namespace assay::gguf
