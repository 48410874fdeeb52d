#include "core/fingerprint.h"

#include <fmt/format.h>
#include <new>
#include <xxhash.h>

namespace assay {

Fingerprint::Fingerprint() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_64bits_reset(state_.get());
}

void Fingerprint::Free::operator()(XXH3_state_s* state) const noexcept { XXH3_freeState(state); }

void Fingerprint::add(std::span<const std::byte> bytes) noexcept {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
}

std::uint64_t Fingerprint::value() const noexcept { return XXH3_64bits_digest(state_.get()); }

std::uint64_t fingerprint_of(std::span<const std::byte> bytes) noexcept {
    return XXH3_64bits(bytes.data(), bytes.size());
}

std::string fingerprint_text(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace assay
