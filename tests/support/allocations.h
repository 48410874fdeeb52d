// What a test binary asks of the heap. Linking allocations.cpp replaces operator new.
#pragma once

#include <cstddef>
#include <cstdint>

namespace assay::test {

/// The largest piece that was asked for since forget_allocations(), by all threads.
std::size_t largest_allocation() noexcept;
/// How many there were.
std::uint64_t n_allocations() noexcept;
/// Begins to count anew. A piece larger than `most_bytes` is refused with std::bad_alloc.
void forget_allocations(std::size_t most_bytes = SIZE_MAX) noexcept;

/// While it lives, the allocation with this number, counted from 0 over all threads, is refused with
/// std::bad_alloc. Only one at a time.
class FailingAllocation {
  public:
    explicit FailingAllocation(std::uint64_t number) noexcept;
    ~FailingAllocation();
    FailingAllocation(const FailingAllocation&) = delete;
    FailingAllocation& operator=(const FailingAllocation&) = delete;
    /// Whether there were so many.
    bool happened() const noexcept;
};

}  // namespace assay::test
