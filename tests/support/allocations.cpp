#include "support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

constexpr std::uint64_t kNone = UINT64_MAX;

std::atomic<std::size_t> largest = 0;
std::atomic<std::size_t> most = SIZE_MAX;
std::atomic<std::uint64_t> count = 0;
std::atomic<std::uint64_t> failing = kNone;

void note(std::size_t size) {
    for (std::size_t before = largest; before < size && !largest.compare_exchange_weak(before, size);) {
    }
    if (count++ == failing || size > most) throw std::bad_alloc();
}

void* allocate(std::size_t size) {
    note(size);
    if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
    throw std::bad_alloc();
}

void* allocate(std::size_t size, std::align_val_t alignment) {
    note(size);
    const auto boundary = static_cast<std::size_t>(alignment);
    if (void* memory = std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary))
        return memory;
    throw std::bad_alloc();
}

}  // namespace

// All forms, since a sanitizer has its own of those that are not here, which do not go with std::free().
void* operator new(std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    try {
        return allocate(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return operator new(size, std::nothrow);
}
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace assay::test {

std::size_t largest_allocation() noexcept { return largest; }
std::uint64_t n_allocations() noexcept { return count; }

void forget_allocations(std::size_t most_bytes) noexcept {
    largest = 0;
    count = 0;
    most = most_bytes;
}

FailingAllocation::FailingAllocation(std::uint64_t number) noexcept {
    count = 0;
    failing = number;
}
FailingAllocation::~FailingAllocation() { failing = kNone; }
bool FailingAllocation::happened() const noexcept { return count > failing; }

}  // namespace assay::test
