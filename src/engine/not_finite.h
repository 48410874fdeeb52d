// The error for numbers that are none.
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"

namespace assay::engine {

/// NaN or infinity among the values of a chunk: Error{Numeric} that knows the chunk. Its message is the
/// finding, the chunk's number counted from 1, and what more there is to say.
class NotFinite : public Error {
  public:
    NotFinite(std::int64_t chunk, std::string_view where, std::string_view finding, std::string_view more)
        : Error(ErrorKind::Numeric, where, fmt::format("{} in chunk {}{}", finding, chunk + 1, more)),
          chunk_(chunk),
          finding_(fmt::format("{}: {}", where, finding)) {}

    /// From 0 within the run.
    std::int64_t chunk() const noexcept { return chunk_; }
    /// "where: finding"
    const std::string& finding() const noexcept { return finding_; }

  private:
    std::int64_t chunk_;
    std::string finding_;
};

}  // namespace assay::engine
