#include "core/fingerprint.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace assay {

namespace {

/// One to one in either argument: xor, a product with an odd number, and a shift onto itself can be undone.
constexpr std::uint64_t mix(std::uint64_t state, std::uint64_t word) noexcept {
    state = (state ^ word) * 0x9E3779B97F4A7C15;  // 2^64 by the golden ratio
    return state ^ state >> 32;
}

}  // namespace

void Fingerprint::add_block(const std::byte* block) noexcept {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        std::uint64_t word = 0;
        std::memcpy(&word, block + lane * sizeof word, sizeof word);
        lanes_[lane] = mix(lanes_[lane], word);
    }
}

void Fingerprint::add(std::span<const std::byte> bytes) noexcept {
    while (!bytes.empty()) {
        const std::size_t filled = n_bytes_ % kBlockBytes;
        if (filled == 0 && bytes.size() >= kBlockBytes) {
            const std::size_t whole = bytes.size() / kBlockBytes * kBlockBytes;
            for (std::size_t at = 0; at < whole; at += kBlockBytes) add_block(bytes.data() + at);
            n_bytes_ += whole;
            bytes = bytes.subspan(whole);
            continue;
        }
        const std::size_t n = std::min(bytes.size(), kBlockBytes - filled);
        std::memcpy(rest_.data() + filled, bytes.data(), n);
        n_bytes_ += n;
        bytes = bytes.subspan(n);
        if (filled + n == kBlockBytes) add_block(rest_.data());
    }
}

std::uint64_t Fingerprint::value() const noexcept {
    Fingerprint last = *this;
    const std::size_t filled = n_bytes_ % kBlockBytes;
    std::fill(last.rest_.begin() + static_cast<std::ptrdiff_t>(filled), last.rest_.end(), std::byte{0});
    if (filled > 0) last.add_block(last.rest_.data());
    std::uint64_t value = n_bytes_;  // what was filled up counts as it was
    for (const std::uint64_t lane : last.lanes_) value = mix(value, lane);
    return value;
}

std::uint64_t fingerprint_of(std::span<const std::byte> bytes) noexcept {
    Fingerprint fingerprint;
    fingerprint.add(bytes);
    return fingerprint.value();
}

std::string fingerprint_text(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace assay
