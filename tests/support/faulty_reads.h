// Reads that fail as those of a bad disk do. Linking faulty_reads.cpp replaces read() and pread().
#pragma once

#include <cstdint>

namespace assay::test {

enum class Fault {
    Short,        ///< every read from this one on gives a part of what was asked for, whole blocks of a disk
    Cut,          ///< this read ends within a block, as before a bad sector
    Interrupted,  ///< this read and the two behind it are interrupted by a signal
    Broken,       ///< this read is an error of input
};

/// While it lives, the read with this number, counted from 0 over all threads, is at fault. Only one at a
/// time.
class FaultyRead {
  public:
    FaultyRead(Fault fault, std::int64_t number) noexcept;
    ~FaultyRead();
    FaultyRead(const FaultyRead&) = delete;
    FaultyRead& operator=(const FaultyRead&) = delete;
    /// Whether there were so many.
    bool happened() const noexcept;
};

}  // namespace assay::test
