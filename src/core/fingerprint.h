// A 64-bit hash that tells whether two inputs are the same, and whether a file is as it was written. Not
// against forgers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace assay {

/// Of bytes added one after another; where one call ends and the next begins makes no difference. Any change
/// within one aligned word changes the result.
class Fingerprint {
  public:
    void add(std::span<const std::byte> bytes) noexcept;
    std::uint64_t value() const noexcept;

  private:
    static constexpr std::size_t kLanes = 4;  ///< so that multiplications overlap
    static constexpr std::size_t kBlockBytes = kLanes * sizeof(std::uint64_t);

    void add_block(const std::byte* block) noexcept;

    std::array<std::uint64_t, kLanes> lanes_{1, 2, 3, 4};
    std::array<std::byte, kBlockBytes> rest_{};  ///< of the bytes so far, what fills no block
    std::uint64_t n_bytes_ = 0;
};

std::uint64_t fingerprint_of(std::span<const std::byte> bytes) noexcept;

/// 16 hexadecimal digits.
std::string fingerprint_text(std::uint64_t value);

}  // namespace assay
