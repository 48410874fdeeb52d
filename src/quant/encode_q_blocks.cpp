// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. The plain formulas are ggml's, to the byte: codes come from the scale before
// it is rounded to half. The searched ones come from the rounded scale, which the decoder will use.
#include <algorithm>
#include <cmath>

#include "core/half.h"
#include "quant/encode_search.h"
#include "quant/encoders.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

constexpr std::size_t kWeights = 32;

/// A block before packing: halves and unsigned codes.
struct Unpacked {
    std::uint16_t d = 0;
    std::uint16_t m = 0;
    std::array<std::uint8_t, kWeights> q{};
};

/// 1 / d, and 0 where that is not finite.
float reciprocal(float d) {
    const float r = 1.0f / d;
    return std::isfinite(r) ? r : 0.0f;
}

/// Rounds down into 0..max; 0 for NaN.
std::uint8_t to_code(float v, float max) {
    return static_cast<std::uint8_t>(v > 0.0f ? (v < max ? v : max) : 0.0f);
}

/// d*(q + lo): the weight of the largest magnitude, the first of several, becomes code 0.
Unpacked symmetric_plain(const float* x, float lo, float max_code) {
    float peak = 0.0f;
    for (std::size_t i = 0; i < kWeights; ++i)
        if (std::fabs(x[i]) > std::fabs(peak)) peak = x[i];
    const float d = peak / lo;
    const float id = reciprocal(d);
    Unpacked block;
    block.d = scale_to_half(d);
    for (std::size_t i = 0; i < kWeights; ++i) block.q[i] = to_code(x[i] * id + (0.5f - lo), max_code);
    return block;
}

Unpacked symmetric_search(const float* x, const float* importance, float lo, float max_code) {
    const Block<kWeights> normal(x, importance);
    const IntegerGrid grid{lo, lo + max_code};
    Unpacked block;
    block.d = scale_to_half(static_cast<double>(fit_scale(normal.samples(), grid)) * normal.unit);
    const float id = reciprocal(half_to_float(block.d));
    for (std::size_t i = 0; i < kWeights; ++i) block.q[i] = static_cast<std::uint8_t>(grid(x[i] * id) - lo);
    return block;
}

/// d*q + m: the least weight becomes code 0, the largest the last code.
Unpacked affine_plain(const float* x, float max_code) {
    const auto [least, most] = std::minmax_element(x, x + kWeights);
    const float m = *least;
    const float d = (*most - m) / max_code;
    const float id = reciprocal(d);
    Unpacked block;
    block.d = scale_to_half(d);
    block.m = scale_to_half(m);
    for (std::size_t i = 0; i < kWeights; ++i) block.q[i] = to_code((x[i] - m) * id + 0.5f, max_code);
    return block;
}

Unpacked affine_search(const float* x, const float* importance, int max_code) {
    const Block<kWeights> normal(x, importance);
    const Affine fit = fit_affine(normal.samples(), max_code, OffsetSign::Any);
    const IntegerGrid grid{0.0f, static_cast<float>(max_code)};
    Unpacked block;
    block.d = scale_to_half(static_cast<double>(fit.scale) * normal.unit);
    block.m = scale_to_half(static_cast<double>(fit.offset) * normal.unit);
    const float id = reciprocal(half_to_float(block.d));
    const float m = half_to_float(block.m);
    for (std::size_t i = 0; i < kWeights; ++i) block.q[i] = static_cast<std::uint8_t>(grid((x[i] - m) * id));
    return block;
}

std::uint8_t* put_u16(std::uint16_t v, std::uint8_t* out) {
    std::memcpy(out, &v, sizeof v);
    return out + sizeof v;
}

std::uint8_t* put_high_bits(const Unpacked& block, std::uint8_t* out) {
    std::uint32_t high = 0;
    for (std::size_t i = 0; i < kWeights; ++i) high |= static_cast<std::uint32_t>(block.q[i] >> 4 & 1) << i;
    std::memcpy(out, &high, sizeof high);
    return out + sizeof high;
}

void put_nibbles(const Unpacked& block, std::uint8_t* out) {
    for (std::size_t j = 0; j < 16; ++j)
        out[j] = static_cast<std::uint8_t>((block.q[j] & 15) | block.q[j + 16] << 4);
}

void pack_q4_0(const Unpacked& block, std::uint8_t* out) { put_nibbles(block, put_u16(block.d, out)); }
void pack_q4_1(const Unpacked& block, std::uint8_t* out) {
    put_nibbles(block, put_u16(block.m, put_u16(block.d, out)));
}
void pack_q5_0(const Unpacked& block, std::uint8_t* out) {
    put_nibbles(block, put_high_bits(block, put_u16(block.d, out)));
}
void pack_q5_1(const Unpacked& block, std::uint8_t* out) {
    put_nibbles(block, put_high_bits(block, put_u16(block.m, put_u16(block.d, out))));
}

void q4_0_plain(const float* x, const float*, std::uint8_t* out) {
    pack_q4_0(symmetric_plain(x, -8, 15), out);
}
void q4_0_search(const float* x, const float* w, std::uint8_t* out) {
    pack_q4_0(symmetric_search(x, w, -8, 15), out);
}
void q5_0_plain(const float* x, const float*, std::uint8_t* out) {
    pack_q5_0(symmetric_plain(x, -16, 31), out);
}
void q5_0_search(const float* x, const float* w, std::uint8_t* out) {
    pack_q5_0(symmetric_search(x, w, -16, 31), out);
}
void q4_1_plain(const float* x, const float*, std::uint8_t* out) { pack_q4_1(affine_plain(x, 15), out); }
void q4_1_search(const float* x, const float* w, std::uint8_t* out) {
    pack_q4_1(affine_search(x, w, 15), out);
}
void q5_1_plain(const float* x, const float*, std::uint8_t* out) { pack_q5_1(affine_plain(x, 31), out); }
void q5_1_search(const float* x, const float* w, std::uint8_t* out) {
    pack_q5_1(affine_search(x, w, 31), out);
}

void q8_0_plain(const float* x, const float*, std::uint8_t* out) {
    float peak = 0.0f;
    for (std::size_t i = 0; i < kWeights; ++i) peak = std::max(peak, std::fabs(x[i]));
    const float d = peak / 127.0f;
    const float id = reciprocal(d);
    out = put_u16(scale_to_half(d), out);
    for (std::size_t i = 0; i < kWeights; ++i) {
        const float q = std::clamp(std::round(x[i] * id), -127.0f, 127.0f);
        out[i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(q));
    }
}

void q8_0_search(const float* x, const float* w, std::uint8_t* out) {
    const Unpacked block = symmetric_search(x, w, -127, 254);
    out = put_u16(block.d, out);
    for (std::size_t i = 0; i < kWeights; ++i) out[i] = static_cast<std::uint8_t>(block.q[i] - 127);
}

}  // namespace

void encode_q4_0(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kWeights, 18, q4_0_plain, q4_0_search, decode_q4_0>(row, n, importance, out);
}
void encode_q4_1(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kWeights, 20, q4_1_plain, q4_1_search, decode_q4_1>(row, n, importance, out);
}
void encode_q5_0(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kWeights, 22, q5_0_plain, q5_0_search, decode_q5_0>(row, n, importance, out);
}
void encode_q5_1(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kWeights, 24, q5_1_plain, q5_1_search, decode_q5_1>(row, n, importance, out);
}
void encode_q8_0(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kWeights, 34, q8_0_plain, q8_0_search, decode_q8_0>(row, n, importance, out);
}

}  // namespace assay::quant
