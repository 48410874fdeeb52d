// The 4-bit floats: E2M1 codes under a power-of-two scale (MXFP4) or a small unsigned float (NVFP4).
#include "quant/block_bits.h"
#include "quant/codebooks.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

float code(unsigned byte, unsigned i) {
    return static_cast<float>(kFp4Doubled[static_cast<std::size_t>(nibble(byte, i))]);
}

// e:u8 qs[16], 32 weights
void mxfp4_block(const std::uint8_t* b, float* out) {
    const float d = half_e8m0(b[0]);
    for (std::size_t j = 0; j < 16; ++j) {
        out[j] = d * code(b[1 + j], 0);
        out[j + 16] = d * code(b[1 + j], 1);
    }
}

// d u8[4] qs[32], 64 weights: four sub-blocks of 16
void nvfp4_block(const std::uint8_t* b, float* out) {
    for (std::size_t k = 0; k < 4; ++k) {
        const float d = half_ue4m3(b[k]);
        const std::uint8_t* qs = b + 4 + 8 * k;
        for (std::size_t j = 0; j < 8; ++j) {
            out[16 * k + j] = d * code(qs[j], 0);
            out[16 * k + 8 + j] = d * code(qs[j], 1);
        }
    }
}

}  // namespace

void decode_mxfp4(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<32, 17, mxfp4_block>(row, n, out);
}
void decode_nvfp4(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<64, 36, nvfp4_block>(row, n, out);
}

}  // namespace assay::quant
