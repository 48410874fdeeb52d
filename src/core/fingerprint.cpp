#include "core/fingerprint.h"

#include <algorithm>
#include <fmt/format.h>
#include <new>
#include <xxhash.h>

#include "core/file.h"

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

std::uint64_t fingerprint_of_file(const std::filesystem::path& path) {
    constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
    const MappedFile file(path);
    Fingerprint fingerprint;
    for (std::size_t at = 0; at < file.bytes().size(); at += kPieceBytes) {
        const std::size_t n = std::min(kPieceBytes, file.bytes().size() - at);
        fingerprint.add(file.bytes().subspan(at, n));
        file.drop(at, n);
    }
    return fingerprint.value();
}

std::string fingerprint_text(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace assay
