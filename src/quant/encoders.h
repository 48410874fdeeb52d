// The encoders by name, for find_encoder(), and the loop that all block types share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace assay::quant {

// encode_plain.cpp
void encode_f32(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_f16(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_bf16(const float* row, std::size_t n, const float* importance, std::byte* out);

// encode_q_blocks.cpp
void encode_q4_0(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q4_1(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q5_0(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q5_1(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q8_0(const float* row, std::size_t n, const float* importance, std::byte* out);

// encode_k.cpp
void encode_q2_k(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q3_k(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q4_k(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q5_k(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_q6_k(const float* row, std::size_t n, const float* importance, std::byte* out);

// encode_iq4.cpp
void encode_iq4_nl(const float* row, std::size_t n, const float* importance, std::byte* out);
void encode_iq4_xs(const float* row, std::size_t n, const float* importance, std::byte* out);

/// Encodes one block of x; importance may be nullptr.
using EncodeBlock = void (*)(const float* x, const float* importance, std::uint8_t* out);
using DecodeBlocks = void (*)(const std::byte* row, std::size_t n, float* out);

/// sum of importance * (x - decoded)^2
inline double weighted_error(const float* x, const float* importance, const float* decoded, std::size_t n) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        const double e = static_cast<double>(x[i]) - static_cast<double>(decoded[i]);
        sum += static_cast<double>(importance[i]) * e * e;
    }
    return sum;
}

/// An EncodeRow out of block encoders. With importance, keeps whichever of `kPlain` and `kSearch` the decoder
/// finds closer: rounding scales can undo a search's small gain.
template <std::size_t kWeights, std::size_t kBytes, EncodeBlock kPlain, EncodeBlock kSearch,
          DecodeBlocks kDecode>
void encode_blocks(const float* row, std::size_t n, const float* importance, std::byte* out) {
    const auto error_of = [&](std::size_t at, const std::byte* block) {
        std::array<float, kWeights> decoded;
        kDecode(block, kWeights, decoded.data());
        return weighted_error(row + at, importance + at, decoded.data(), kWeights);
    };
    for (std::size_t at = 0; at < n; at += kWeights, out += kBytes) {
        kPlain(row + at, nullptr, reinterpret_cast<std::uint8_t*>(out));
        if (importance == nullptr) continue;
        std::array<std::byte, kBytes> other{};
        kSearch(row + at, importance + at, reinterpret_cast<std::uint8_t*>(other.data()));
        if (error_of(at, other.data()) < error_of(at, out)) std::memcpy(out, other.data(), kBytes);
    }
}

}  // namespace assay::quant
