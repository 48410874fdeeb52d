// IQ3: points of four magnitudes with signs beside them; 256 weights in groups of 32.
#include "quant/block_bits.h"
#include "quant/iq_grids.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

/// Signs are bits first, first + 1, first + 2, first + 3.
void signed_point(const std::array<std::int8_t, 4>& point, float scale, unsigned signs, unsigned first,
                  float* out) {
    for (unsigned j = 0; j < 4; ++j)
        out[j] = scale * static_cast<float>(with_sign(point[j], bit(signs, first + j)));
}

// d:h qs[64], then eight u32 of four 7-bit signs below a 4-bit scale
void iq3_xxs_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    for (unsigned group = 0; group < 8; ++group) {
        const std::uint8_t* qs = b + 2 + 8 * group;
        const std::uint32_t packed = u32_at(b + 66 + 4 * group);
        const float scale = d * (0.5f + static_cast<float>(packed >> 28)) * 0.5f;
        for (unsigned e = 0; e < 8; ++e, out += 4) {
            const unsigned signs = even_signs(packed >> 7 * (e / 2) & 127u);
            signed_point(kGridIq3Xxs[qs[e]], scale, signs, 4 * (e % 2), out);
        }
    }
}

// d:h qs[64] qh[8] signs[32] scales[4]; a ninth index bit in qh, a nibble of scale per 32 weights
void iq3_s_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const std::uint8_t* qs = b + 2;
    const std::uint8_t* qh = b + 66;
    const std::uint8_t* signs = b + 74;
    const std::uint8_t* scales = b + 106;
    for (unsigned i = 0; i < 64; ++i, out += 4) {
        const unsigned group = i / 8;
        const float scale = d * static_cast<float>(1 + 2 * nibble(scales[group / 2], group % 2));
        const unsigned index = qs[i] + 256u * static_cast<unsigned>(bit(qh[group], i % 8));
        signed_point(kGridIq3S[index], scale, signs[i / 2], 4 * (i % 2), out);
    }
}

}  // namespace

void decode_iq3_xxs(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 98, iq3_xxs_block>(row, n, out);
}
void decode_iq3_s(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 110, iq3_s_block>(row, n, out);
}

}  // namespace assay::quant
