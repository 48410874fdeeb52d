// Rows of a wave on disk. Private to the engine.
#pragma once

#include "backend/backend.h"
#include "core/scratch_file.h"

namespace assay::engine {

/// Backend memory in a scratch file, for backends that use host memory.
class SpilledRows : public backend::Buffer {
  public:
    SpilledRows(const std::filesystem::path& folder, std::int64_t rows, std::int64_t row_bytes)
        : file_(folder, static_cast<std::size_t>(rows * row_bytes)), row_bytes_(row_bytes) {
        data_ = file_.bytes().data();
        size_bytes_ = file_.bytes().size();
    }

    /// Hints: rows [first, first + count) are soon used; they will not be for a while.
    void will_need(std::int64_t first, std::int64_t count) const noexcept {
        file_.will_need(at(first), at(count));
    }
    void write_back(std::int64_t first, std::int64_t count) const noexcept {
        file_.write_back(at(first), at(count));
    }

  private:
    std::size_t at(std::int64_t row) const noexcept { return static_cast<std::size_t>(row * row_bytes_); }

    ScratchFile file_;
    std::int64_t row_bytes_ = 0;
};

}  // namespace assay::engine
