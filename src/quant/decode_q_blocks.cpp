// The first generation: 32 weights around one half scale d, some with an offset m.
// In the 4 and 5-bit types byte j holds weight j in its low nibble and weight j + 16 in its high one.
#include "quant/block_bits.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

constexpr std::size_t kBlock = 32;

// d:h qs[16]; w = d*(q - 8)
void q4_0_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    for (std::size_t j = 0; j < 16; ++j) {
        out[j] = d * static_cast<float>(nibble(b[2 + j], 0) - 8);
        out[j + 16] = d * static_cast<float>(nibble(b[2 + j], 1) - 8);
    }
}

// d:h m:h qs[16]; w = d*q + m
void q4_1_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const float m = half_at(b + 2);
    for (std::size_t j = 0; j < 16; ++j) {
        out[j] = d * static_cast<float>(nibble(b[4 + j], 0)) + m;
        out[j + 16] = d * static_cast<float>(nibble(b[4 + j], 1)) + m;
    }
}

/// Five bits: the nibbles of qs[16] with bit i of `high` above that of weight i.
int five_bits(const std::uint8_t* qs, std::uint32_t high, unsigned i) {
    return nibble(qs[i % 16], i / 16) + 16 * bit(high, i);
}

// d:h qh:u32 qs[16]; w = d*(q - 16)
void q5_0_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const std::uint32_t high = u32_at(b + 2);
    for (unsigned i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(five_bits(b + 6, high, i) - 16);
}

// d:h m:h qh:u32 qs[16]; w = d*q + m
void q5_1_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const float m = half_at(b + 2);
    const std::uint32_t high = u32_at(b + 4);
    for (unsigned i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(five_bits(b + 8, high, i)) + m;
}

void scaled_bytes(float d, const std::uint8_t* qs, float* out) {
    for (std::size_t j = 0; j < kBlock; ++j) out[j] = d * static_cast<float>(static_cast<std::int8_t>(qs[j]));
}

// d:h qs i8[32]; w = d*q
void q8_0_block(const std::uint8_t* b, float* out) { scaled_bytes(half_at(b), b + 2, out); }

// d:h s:h qs i8[32]; w = d*q; s, the scaled sum, serves dot products only
void q8_1_block(const std::uint8_t* b, float* out) { scaled_bytes(half_at(b), b + 4, out); }

}  // namespace

void decode_q4_0(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 18, q4_0_block>(row, n, out);
}
void decode_q4_1(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 20, q4_1_block>(row, n, out);
}
void decode_q5_0(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 22, q5_0_block>(row, n, out);
}
void decode_q5_1(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 24, q5_1_block>(row, n, out);
}
void decode_q8_0(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 34, q8_0_block>(row, n, out);
}
void decode_q8_1(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 36, q8_1_block>(row, n, out);
}

}  // namespace assay::quant
