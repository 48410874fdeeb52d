// Weights that are larger than memory: read past the page cache, in order, ahead of their preparation.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/file.h"
#include "gguf/job_memory.h"
#include "gguf/tensor_bytes.h"

namespace assay::gguf {

class HostRing;

/// The ranges of one job, as they have been read.
class JobBytes : public TensorBytes {
  public:
    /// Reads the ranges into `memory`, size_bytes() of them, aligned to pages. `shards` are the file's.
    /// Throws Error{Io}.
    static void read(const FileRanges& reads, const std::vector<DirectFile>& shards,
                     std::span<std::byte> memory);
    /// They lie in `memory`, as read() leaves them. Memory is borrowed.
    JobBytes(const FileRanges& reads, std::span<const std::byte> memory);

    /// From the job when it holds the range, else from the mapped file (small tensors: norms, biases).
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

struct ReadFromDisk {
    std::uint64_t bytes = 0;
    double seconds = 0;
};

/// A thread that reads jobs in order, once for all readers: passes over the same files on several devices.
/// All jobs that are being read, wait, or are in use by any reader lie in `memory`, so the foremost reader
/// waits for the last one.
class WeightStream {
  public:
    /// Each of `n_readers` >= 1 must take all jobs, or leave.
    WeightStream(std::vector<FileRanges> jobs, std::unique_ptr<JobMemory> memory, std::size_t n_readers);
    /// Stops after the read in progress. Nobody reads any more.
    ~WeightStream();
    WeightStream(const WeightStream&) = delete;
    WeightStream& operator=(const WeightStream&) = delete;

    /// The reader's next job, waiting for it; the one it took before must be gone. Rethrows a failed read.
    /// Throws Error{Internal} once the reader is interrupted.
    std::shared_ptr<const JobBytes> take(std::size_t reader);
    void interrupt(std::size_t reader);
    /// The reader holds no job and takes no more.
    void leave(std::size_t reader);

    /// What this process has read, and the seconds in which it did.
    ReadFromDisk read_from_disk() const;

  private:
    struct Reader {
        std::size_t done = 0;  ///< jobs that it is done with
        std::size_t next = 0;
        bool interrupted = false;
    };
    void work();
    void read(const FileRanges& job, std::span<std::byte> memory);
    void release_done();

    const std::vector<FileRanges> jobs_;
    std::map<const File*, std::vector<DirectFile>> shards_;
    const std::unique_ptr<JobMemory> memory_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Reader> readers_;
    std::deque<std::shared_ptr<const JobBytes>> read_;  ///< read, and not yet done with by all readers
    std::size_t n_released_ = 0;                        ///< jobs before these
    ReadFromDisk read_from_disk_;
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

    std::shared_ptr<const JobBytes> take() { return stream_->take(index_); }
    void interrupt() { stream_->interrupt(index_); }
    ReadFromDisk read_from_disk() const { return stream_->read_from_disk(); }

  private:
    std::shared_ptr<WeightStream> stream_;
    std::size_t index_;
};

/// A stream and its readers. It takes part in `shared` (null: there is none) where that can be joined;
/// otherwise it has `bound_bytes` of its own, or as much as the largest job takes.
std::vector<std::unique_ptr<StreamReader>> open_stream(std::vector<FileRanges> jobs,
                                                       std::uint64_t bound_bytes, std::size_t n_readers,
                                                       HostRing* shared = nullptr);

}  // namespace assay::gguf
