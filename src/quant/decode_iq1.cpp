// IQ1: points of eight weights of -1, 0, 1, each point shifted by an eighth up or down; 256 weights.
#include "quant/block_bits.h"
#include "quant/iq_grids.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

void shifted_point(const std::array<std::int8_t, 8>& point, float scale, bool down, float* out) {
    const float delta = down ? -0.125f : 0.125f;
    for (unsigned j = 0; j < 8; ++j) out[j] = scale * (static_cast<float>(point[j]) + delta);
}

float odd_steps(float d, unsigned three_bits) { return d * static_cast<float>(2 * three_bits + 1); }

// d:h qs[32] qh u16[8]; per 32 weights: four times three upper index bits, three bits of scale, the shift
void iq1_s_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    for (unsigned group = 0; group < 8; ++group) {
        const unsigned high = u16_at(b + 34 + 2 * group);
        const float scale = odd_steps(d, high >> 12 & 7u);
        for (unsigned l = 0; l < 4; ++l, out += 8) {
            const unsigned index = b[2 + 4 * group + l] + 256u * (high >> 3 * l & 7u);
            shifted_point(kGridIq1[index], scale, bit(high, 15) != 0, out);
        }
    }
}

// qs[32] qh[16] scales u16[4]; the half scale lies in the top nibbles of the four words, below them four
// 3-bit scales each, one per 16 weights; a nibble of qh per point: three upper index bits and the shift
void iq1_m_block(const std::uint8_t* b, float* out) {
    const std::uint8_t* qh = b + 32;
    const std::uint8_t* scales = b + 48;
    unsigned half_bits = 0;
    for (unsigned k = 0; k < 4; ++k) half_bits |= (u16_at(scales + 2 * k) >> 12 & 15u) << 4 * k;
    const float d = half_to_float(static_cast<std::uint16_t>(half_bits));
    for (unsigned i = 0; i < 32; ++i, out += 8) {
        const unsigned sub = i / 2;
        const float scale = odd_steps(d, u16_at(scales + 2 * (sub / 4)) >> 3 * (sub % 4) & 7u);
        const auto high = static_cast<unsigned>(nibble(qh[sub], i % 2));
        shifted_point(kGridIq1[b[i] + 256u * (high & 7u)], scale, (high & 8u) != 0, out);
    }
}

}  // namespace

void decode_iq1_s(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 50, iq1_s_block>(row, n, out);
}
void decode_iq1_m(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 56, iq1_m_block>(row, n, out);
}

}  // namespace assay::quant
