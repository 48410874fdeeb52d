// Types without blocks: each weight rounds by itself, so importance changes nothing.
#include <cstring>

#include "core/half.h"
#include "quant/encoders.h"

namespace assay::quant {

namespace {

template <std::uint16_t (*kRound)(float)>
void encode_16_bits(const float* row, std::size_t n, std::byte* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint16_t bits = kRound(row[i]);
        std::memcpy(out + 2 * i, &bits, sizeof bits);
    }
}

}  // namespace

void encode_f32(const float* row, std::size_t n, const float*, std::byte* out) {
    if (n > 0) std::memcpy(out, row, n * sizeof(float));
}
void encode_f16(const float* row, std::size_t n, const float*, std::byte* out) {
    encode_16_bits<float_to_half>(row, n, out);
}
void encode_bf16(const float* row, std::size_t n, const float*, std::byte* out) {
    encode_16_bits<float_to_bf16>(row, n, out);
}

}  // namespace assay::quant
