// IQ2: points of eight magnitudes with signs beside them; 256 weights in groups of 32.
#include "quant/block_bits.h"
#include "quant/iq_grids.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

void signed_point(const std::array<std::int8_t, 8>& point, float scale, unsigned signs, float* out) {
    for (unsigned j = 0; j < 8; ++j) out[j] = scale * static_cast<float>(with_sign(point[j], bit(signs, j)));
}

/// (s + 1/2) / 4 in units of d, exact in float.
float quarter_steps(float d, int s) { return d * (0.5f + static_cast<float>(s)) * 0.25f; }

// d:h, then per group: four indices, and a u32 of four 7-bit signs below a 4-bit scale
void iq2_xxs_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    for (unsigned group = 0; group < 8; ++group) {
        const std::uint8_t* g = b + 2 + 8 * group;
        const std::uint32_t signs = u32_at(g + 4);
        const float scale = quarter_steps(d, static_cast<int>(signs >> 28));
        for (unsigned l = 0; l < 4; ++l, out += 8)
            signed_point(kGridIq2Xxs[g[l]], scale, even_signs(signs >> 7 * l & 127u), out);
    }
}

// d:h qs u16[32] scales[8]; q = index of nine bits below seven sign bits; a nibble of scale per 16 weights
void iq2_xs_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const std::uint8_t* scales = b + 66;
    for (unsigned i = 0; i < 32; ++i, out += 8) {
        const unsigned q = u16_at(b + 2 + 2 * i);
        const float scale = quarter_steps(d, nibble(scales[i / 4], i % 4 / 2));
        signed_point(kGridIq2Xs[q & 511u], scale, even_signs(q >> 9), out);
    }
}

// d:h qs[32] signs[32] qh[8] scales[8]; two upper index bits in qh
void iq2_s_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const std::uint8_t* qs = b + 2;
    const std::uint8_t* signs = b + 34;
    const std::uint8_t* qh = b + 66;
    const std::uint8_t* scales = b + 74;
    for (unsigned i = 0; i < 32; ++i, out += 8) {
        const unsigned index = qs[i] + 256u * static_cast<unsigned>(two_bits(qh[i / 4], 2 * (i % 4)));
        const float scale = quarter_steps(d, nibble(scales[i / 4], i % 4 / 2));
        signed_point(kGridIq2S[index], scale, signs[i], out);
    }
}

}  // namespace

void decode_iq2_xxs(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 66, iq2_xxs_block>(row, n, out);
}
void decode_iq2_xs(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 74, iq2_xs_block>(row, n, out);
}
void decode_iq2_s(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 82, iq2_s_block>(row, n, out);
}

}  // namespace assay::quant
