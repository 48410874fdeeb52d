// IQ4: 4-bit codes into sixteen uneven levels, finer near zero.
#include "quant/block_bits.h"
#include "quant/codebooks.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

/// Thirty-two weights from sixteen bytes: low nibbles first, then high.
void levels(float scale, const std::uint8_t* qs, float* out) {
    for (unsigned j = 0; j < 16; ++j) {
        out[j] = scale * static_cast<float>(kIq4Levels[static_cast<std::size_t>(nibble(qs[j], 0))]);
        out[j + 16] = scale * static_cast<float>(kIq4Levels[static_cast<std::size_t>(nibble(qs[j], 1))]);
    }
}

// d:h qs[16], 32 weights
void iq4_nl_block(const std::uint8_t* b, float* out) { levels(half_at(b), b + 2, out); }

// d:h scales_h:u16 scales_l[4] qs[128], 256 weights; eight 6-bit scales, less 32
void iq4_xs_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const unsigned high = u16_at(b + 2);
    for (unsigned k = 0; k < 8; ++k) {
        const int scale = nibble(b[4 + k / 2], k % 2) + 16 * two_bits(high, 2 * k) - 32;
        levels(d * static_cast<float>(scale), b + 8 + 16 * k, out + 32 * k);
    }
}

}  // namespace

void decode_iq4_nl(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<32, 18, iq4_nl_block>(row, n, out);
}
void decode_iq4_xs(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 136, iq4_xs_block>(row, n, out);
}

}  // namespace assay::quant
