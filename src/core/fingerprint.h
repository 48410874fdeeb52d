// A 64-bit hash (XXH3) that tells whether two inputs are the same, and whether a file is as it was written.
// Not against forgers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

struct XXH3_state_s;

namespace assay {

/// Of bytes added one after another; where one call ends and the next begins makes no difference.
class Fingerprint {
  public:
    /// Throws std::bad_alloc.
    Fingerprint();

    void add(std::span<const std::byte> bytes) noexcept;
    std::uint64_t value() const noexcept;

  private:
    struct Free {
        void operator()(XXH3_state_s* state) const noexcept;
    };
    std::unique_ptr<XXH3_state_s, Free> state_;
};

std::uint64_t fingerprint_of(std::span<const std::byte> bytes) noexcept;
/// Takes little memory, however large the file. Throws Error{Io}.
std::uint64_t fingerprint_of_file(const std::filesystem::path& path);

/// 16 hexadecimal digits.
std::string fingerprint_text(std::uint64_t value);

}  // namespace assay
