// The 4-bit floats: E2M1 codes under a power-of-two scale (MXFP4) or a small unsigned float (NVFP4).
#include <bit>

#include "quant/block_bits.h"
#include "quant/codebooks.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

/// 2^(e - 128): half of E8M0, since the codes are doubled. 0 and 1 give float denormals; 255, which the OCP
/// specification calls NaN, is a number here as it is in ggml.
float half_e8m0(std::uint8_t e) {
    const std::uint32_t bits = e < 2 ? 0x00200000u << e : (e - 1u) << 23;
    return std::bit_cast<float>(bits);
}

/// Half of E4M3 without its sign bit; 0x7f, NaN by the format, is zero in ggml.
float half_ue4m3(std::uint8_t v) {
    if (v == 0x7f) return 0.0f;
    const unsigned exponent = v >> 3 & 15u;
    const auto mantissa = static_cast<float>(v & 7u);
    if (exponent == 0) return mantissa * 0x1p-10f;
    return (1.0f + mantissa / 8.0f) * std::bit_cast<float>((exponent + 119u) << 23);  // 2^(exponent - 8)
}

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
