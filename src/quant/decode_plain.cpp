// Types without blocks: every weight is a number of its own. Integers and f64 round to the nearest float.
#include <cstdint>
#include <cstring>

#include "core/half.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

template <typename T> T element(const std::byte* row, std::size_t i) noexcept {
    T value;
    std::memcpy(&value, row + i * sizeof(T), sizeof(T));
    return value;
}

template <typename T> void decode_numbers(const std::byte* row, std::size_t n, float* out) noexcept {
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(element<T>(row, i));
}

}  // namespace

void decode_f32(const std::byte* row, std::size_t n, float* out) {
    if (n > 0) std::memcpy(out, row, n * sizeof(float));
}

void decode_f16(const std::byte* row, std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = half_to_float(element<std::uint16_t>(row, i));
}

void decode_bf16(const std::byte* row, std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = bf16_to_float(element<std::uint16_t>(row, i));
}

void decode_f64(const std::byte* row, std::size_t n, float* out) { decode_numbers<double>(row, n, out); }
void decode_i8(const std::byte* row, std::size_t n, float* out) { decode_numbers<std::int8_t>(row, n, out); }
void decode_i16(const std::byte* row, std::size_t n, float* out) {
    decode_numbers<std::int16_t>(row, n, out);
}
void decode_i32(const std::byte* row, std::size_t n, float* out) {
    decode_numbers<std::int32_t>(row, n, out);
}
void decode_i64(const std::byte* row, std::size_t n, float* out) {
    decode_numbers<std::int64_t>(row, n, out);
}

}  // namespace assay::quant
