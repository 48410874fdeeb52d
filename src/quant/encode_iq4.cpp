// IQ4_NL and IQ4_XS: nearest of sixteen uneven levels; layouts mirror decode_iq4.cpp.
#include <algorithm>

#include "core/half.h"
#include "quant/encode_super.h"
#include "quant/encoders.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

/// Thirty-two codes: low nibbles first, then high. `position` are weights in units of the scale.
void put_codes(const float* position, std::uint8_t* qs) {
    constexpr Iq4Grid kGrid;
    for (std::size_t j = 0; j < 16; ++j)
        qs[j] = static_cast<std::uint8_t>(kGrid.code(position[j]) | kGrid.code(position[j + 16]) << 4);
}

void iq4_nl_block(const float* x, const float* importance, std::uint8_t* out) {
    const Block<32> block(x, importance);
    const std::uint16_t d =
        scale_to_half(static_cast<double>(fit_scale(block.samples(), Iq4Grid{})) * block.unit);
    std::memcpy(out, &d, sizeof d);
    const float per_level = inverse(half_to_float(d));
    std::array<float, 32> position;
    for (std::size_t i = 0; i < 32; ++i) position[i] = x[i] * per_level;
    put_codes(position.data(), out + 2);
}

void iq4_xs_block(const float* x, const float* importance, std::uint8_t* out) {
    const SymmetricSuper super = encode_symmetric(x, importance, 32, {-32, 31}, Iq4Grid{});
    std::memcpy(out, &super.d, sizeof super.d);
    std::uint16_t high = 0;
    std::fill_n(out + 4, 4, std::uint8_t{0});
    for (std::size_t k = 0; k < 8; ++k) {
        const auto s = static_cast<unsigned>(super.scale[k] + 32);
        high = static_cast<std::uint16_t>(high | s >> 4 << 2 * k);
        out[4 + k / 2] = static_cast<std::uint8_t>(out[4 + k / 2] | (s & 15u) << 4 * (k % 2));
        put_codes(super.position.data() + 32 * k, out + 8 + 16 * k);
    }
    std::memcpy(out + 2, &high, sizeof high);
}

}  // namespace

void encode_iq4_nl(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<32, 18, iq4_nl_block, iq4_nl_block, decode_iq4_nl>(row, n, importance, out);
}
void encode_iq4_xs(const float* row, std::size_t n, const float* importance, std::byte* out) {
    encode_blocks<kSuper, 136, iq4_xs_block, iq4_xs_block, decode_iq4_xs>(row, n, importance, out);
}

}  // namespace assay::quant
