// The scalar reference decoders by name, for the type table. Everyone else goes through TypeInfo::decode.
// They define the value of every weight: one multiplication order, which the peers' reference code shares.
#pragma once

#include <cstddef>

namespace assay::quant {

// decode_plain.cpp
void decode_f32(const std::byte* row, std::size_t n, float* out);
void decode_f16(const std::byte* row, std::size_t n, float* out);
void decode_bf16(const std::byte* row, std::size_t n, float* out);
void decode_f64(const std::byte* row, std::size_t n, float* out);
void decode_i8(const std::byte* row, std::size_t n, float* out);
void decode_i16(const std::byte* row, std::size_t n, float* out);
void decode_i32(const std::byte* row, std::size_t n, float* out);
void decode_i64(const std::byte* row, std::size_t n, float* out);

// decode_q_blocks.cpp
void decode_q4_0(const std::byte* row, std::size_t n, float* out);
void decode_q4_1(const std::byte* row, std::size_t n, float* out);
void decode_q5_0(const std::byte* row, std::size_t n, float* out);
void decode_q5_1(const std::byte* row, std::size_t n, float* out);
void decode_q8_0(const std::byte* row, std::size_t n, float* out);
void decode_q8_1(const std::byte* row, std::size_t n, float* out);

// decode_ternary.cpp
void decode_q1_0(const std::byte* row, std::size_t n, float* out);
void decode_q2_0(const std::byte* row, std::size_t n, float* out);
void decode_tq1_0(const std::byte* row, std::size_t n, float* out);
void decode_tq2_0(const std::byte* row, std::size_t n, float* out);

// decode_k.cpp
void decode_q2_k(const std::byte* row, std::size_t n, float* out);
void decode_q3_k(const std::byte* row, std::size_t n, float* out);
void decode_q4_k(const std::byte* row, std::size_t n, float* out);
void decode_q5_k(const std::byte* row, std::size_t n, float* out);
void decode_q6_k(const std::byte* row, std::size_t n, float* out);
void decode_q8_k(const std::byte* row, std::size_t n, float* out);

// decode_iq1.cpp, decode_iq2.cpp, decode_iq3.cpp, decode_iq4.cpp
void decode_iq1_s(const std::byte* row, std::size_t n, float* out);
void decode_iq1_m(const std::byte* row, std::size_t n, float* out);
void decode_iq2_xxs(const std::byte* row, std::size_t n, float* out);
void decode_iq2_xs(const std::byte* row, std::size_t n, float* out);
void decode_iq2_s(const std::byte* row, std::size_t n, float* out);
void decode_iq3_xxs(const std::byte* row, std::size_t n, float* out);
void decode_iq3_s(const std::byte* row, std::size_t n, float* out);
void decode_iq4_nl(const std::byte* row, std::size_t n, float* out);
void decode_iq4_xs(const std::byte* row, std::size_t n, float* out);

// decode_fp4.cpp
void decode_mxfp4(const std::byte* row, std::size_t n, float* out);
void decode_nvfp4(const std::byte* row, std::size_t n, float* out);

}  // namespace assay::quant
