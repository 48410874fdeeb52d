// Where the stored bytes of a tensor are while weights are prepared from them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/file.h"

namespace assay::gguf {

/// Part of a tensor's stored bytes; `begin_bytes` counts from the tensor's start.
struct TensorRange {
    const Tensor* tensor = nullptr;
    std::uint64_t begin_bytes = 0;
    std::uint64_t size_bytes = 0;
};

/// Parts of one file's tensors that are read together. The file is borrowed.
struct FileRanges {
    const File* file = nullptr;
    std::vector<TensorRange> ranges;
};

/// The mapped file itself; a stage of a stream overrides it for what has been read there.
class TensorBytes {
  public:
    explicit TensorBytes(const File& file) : file_(file) {}
    virtual ~TensorBytes() = default;
    TensorBytes(const TensorBytes&) = delete;
    TensorBytes& operator=(const TensorBytes&) = delete;

    /// Valid as long as this object.
    virtual std::span<const std::byte> get(const TensorRange& range) const {
        return file_.data(*range.tensor).subspan(range.begin_bytes, range.size_bytes);
    }

  private:
    const File& file_;
};

}  // namespace assay::gguf
