// Weights that are larger than memory: read past the page cache, in order, ahead of their preparation.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/file.h"
#include "engine/tensor_bytes.h"

namespace assay::engine {

/// The ranges of one job, in memory of their own.
class Stage : public TensorBytes {
  public:
    /// Reads the ranges. The file is borrowed. Throws Error{Io}.
    Stage(const gguf::File& file, const std::vector<DirectFile>& shards,
          const std::vector<TensorRange>& ranges);

    /// From the stage when it holds the range, else from the mapped file (small tensors: norms, biases).
    std::span<const std::byte> get(const TensorRange& range) const override;

    /// Memory that these ranges take.
    static std::uint64_t size_bytes(const std::vector<TensorRange>& ranges) noexcept;

  private:
    struct Piece {
        TensorRange range;
        PageMemory memory;
        std::size_t skip_bytes = 0;  ///< the range begins here: reads begin at aligned offsets
    };
    std::vector<Piece> pieces_;
};

/// A thread that reads stages in order. All stages that are being read, wait or are in use stay below
/// `bound_bytes`, but for a single one that is larger.
class WeightStream {
  public:
    WeightStream(const gguf::File& file, std::vector<std::vector<TensorRange>> jobs,
                 std::uint64_t bound_bytes);
    /// Stops after the read in progress.
    ~WeightStream();
    WeightStream(const WeightStream&) = delete;
    WeightStream& operator=(const WeightStream&) = delete;

    /// The next job's stage, waiting for it; the one taken before must be gone. Rethrows a failed read.
    std::unique_ptr<Stage> take();

    /// Seconds in which the disk was being read.
    double reading_seconds() const;

  private:
    void work();

    const gguf::File& file_;
    const std::vector<std::vector<TensorRange>> jobs_;
    const std::uint64_t bound_bytes_;
    std::vector<DirectFile> shards_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::unique_ptr<Stage>> ready_;
    std::uint64_t held_bytes_ = 0;   ///< being read, waiting, in use
    std::uint64_t taken_bytes_ = 0;  ///< of these, in use
    std::size_t next_taken_ = 0;
    double reading_seconds_ = 0;
    bool stop_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace assay::engine
