// Q2_K to Q6_K: the search is encode_super.h's; here are the layouts, mirror images of decode_k.cpp.
#include <algorithm>

#include "quant/encode_super.h"
#include "quant/encoders.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

void put_half(std::uint16_t half, std::uint8_t* out) { std::memcpy(out, &half, sizeof half); }

void or_into(std::uint8_t& byte, unsigned bits) { byte = static_cast<std::uint8_t>(byte | bits); }

/// Two-bit codes of Q2_K and Q3_K: weight i of a half goes to byte i % 32, pair i / 32.
void put_pairs(const std::array<std::uint8_t, kSuper>& code, std::uint8_t* qs) {
    for (std::size_t i = 0; i < kSuper; ++i)
        or_into(qs[32 * (i / 128) + i % 32], (code[i] & 3u) << 2 * (i / 32 % 4));
}

void q2_k_block(const float* x, const float* importance, std::uint8_t* out) {
    const AffineSuper super = encode_affine(x, importance, 16, 3, 15);
    std::fill_n(out, 84, std::uint8_t{0});
    for (std::size_t k = 0; k < 16; ++k)
        out[k] = static_cast<std::uint8_t>(super.scale[k] | super.min[k] << 4);
    put_pairs(super.code, out + 16);
    put_half(super.d, out + 80);
    put_half(super.dmin, out + 82);
}

void q3_k_block(const float* x, const float* importance, std::uint8_t* out) {
    constexpr IntegerGrid kGrid{-4.0f, 3.0f};
    const SymmetricSuper super = encode_symmetric(x, importance, 16, {-32, 31}, kGrid);
    std::fill_n(out, 110, std::uint8_t{0});
    std::array<std::uint8_t, kSuper> code{};
    for (std::size_t i = 0; i < kSuper; ++i) {
        code[i] = static_cast<std::uint8_t>(kGrid(super.position[i]) - kGrid.lo);
        or_into(out[i % 32], (code[i] >> 2 & 1u) << i / 32);  // hmask
    }
    put_pairs(code, out + 32);
    std::uint8_t* scales = out + 96;
    for (std::size_t k = 0; k < 16; ++k) {
        const auto s = static_cast<unsigned>(super.scale[k] + 32);
        or_into(scales[k % 8], (s & 15u) << 4 * (k / 8));
        or_into(scales[8 + k % 4], s >> 4 << 2 * (k / 4));
    }
    put_half(super.d, out + 108);
}

/// The twelve bytes of Q4_K and Q5_K; see scale_min() in decode_k.cpp.
void put_scales_and_mins(const AffineSuper& super, std::uint8_t* out) {
    for (std::size_t k = 0; k < 4; ++k) {
        out[k] = static_cast<std::uint8_t>(super.scale[k] | super.scale[k + 4] >> 4 << 6);
        out[k + 4] = static_cast<std::uint8_t>(super.min[k] | super.min[k + 4] >> 4 << 6);
        out[k + 8] = static_cast<std::uint8_t>((super.scale[k + 4] & 15) | (super.min[k + 4] & 15) << 4);
    }
}

/// Low nibbles: sub-blocks 2g and 2g + 1 share bytes 32g to 32g + 31.
void put_nibbles(const std::array<std::uint8_t, kSuper>& code, std::uint8_t* qs) {
    for (std::size_t i = 0; i < kSuper; ++i)
        or_into(qs[32 * (i / 64) + i % 32], (code[i] & 15u) << 4 * (i / 32 % 2));
}

void q4_k_block(const float* x, const float* importance, std::uint8_t* out) {
    const AffineSuper super = encode_affine(x, importance, 32, 15, 63);
    std::fill_n(out, 144, std::uint8_t{0});
    put_half(super.d, out);
    put_half(super.dmin, out + 2);
    put_scales_and_mins(super, out + 4);
    put_nibbles(super.code, out + 16);
}

void q5_k_block(const float* x, const float* importance, std::uint8_t* out) {
    const AffineSuper super = encode_affine(x, importance, 32, 31, 63);
    std::fill_n(out, 176, std::uint8_t{0});
    put_half(super.d, out);
    put_half(super.dmin, out + 2);
    put_scales_and_mins(super, out + 4);
    for (std::size_t i = 0; i < kSuper; ++i) or_into(out[16 + i % 32], (super.code[i] >> 4 & 1u) << i / 32);
    put_nibbles(super.code, out + 48);
}

void q6_k_block(const float* x, const float* importance, std::uint8_t* out) {
    constexpr IntegerGrid kGrid{-32.0f, 31.0f};
    const SymmetricSuper super = encode_symmetric(x, importance, 16, {-128, 127}, kGrid);
    std::fill_n(out, 210, std::uint8_t{0});
    for (std::size_t i = 0; i < kSuper; ++i) {
        const auto code = static_cast<unsigned>(kGrid(super.position[i]) - kGrid.lo);
        const std::size_t half = i / 128;
        const std::size_t run = i / 32 % 4;
        or_into(out[64 * half + 32 * (run % 2) + i % 32], (code & 15u) << 4 * (run / 2));
        or_into(out[128 + 32 * half + i % 32], code >> 4 << 2 * run);
    }
    for (std::size_t k = 0; k < 16; ++k)
        out[192 + k] = static_cast<std::uint8_t>(static_cast<std::int8_t>(super.scale[k]));
    put_half(super.d, out + 208);
}

}  // namespace

void encode_q2_k(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kSuper, 84, q2_k_block, q2_k_block, decode_q2_k>(row, n, importance, out);
}
void encode_q3_k(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kSuper, 110, q3_k_block, q3_k_block, decode_q3_k>(row, n, importance, out);
}
void encode_q4_k(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kSuper, 144, q4_k_block, q4_k_block, decode_q4_k>(row, n, importance, out);
}
void encode_q5_k(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kSuper, 176, q5_k_block, q5_k_block, decode_q5_k>(row, n, importance, out);
}
void encode_q6_k(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kSuper, 210, q6_k_block, q6_k_block, decode_q6_k>(row, n, importance, out);
}

}  // namespace assay::quant
