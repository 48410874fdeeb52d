#include "quant/type_table.h"

#include <array>
#include <limits>

#include "core/error.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {
// By id. Ids 4, 5, 31 to 33 and 36 to 38 were removed from the format.
constexpr std::array kTypes = std::to_array<TypeInfo>({
    {TypeId::F32, "f32", 1, 4, 0, decode_f32},
    {TypeId::F16, "f16", 1, 2, 0, decode_f16},
    {TypeId::Q4_0, "q4_0", 32, 18, 0, decode_q4_0},
    {TypeId::Q4_1, "q4_1", 32, 20, 0, decode_q4_1},
    {TypeId::Q5_0, "q5_0", 32, 22, 0, decode_q5_0},
    {TypeId::Q5_1, "q5_1", 32, 24, 0, decode_q5_1},
    {TypeId::Q8_0, "q8_0", 32, 34, 0, decode_q8_0},
    {TypeId::Q8_1, "q8_1", 32, 36, 0, decode_q8_1},
    {TypeId::Q2_K, "q2_K", 256, 84, 0, decode_q2_k},
    {TypeId::Q3_K, "q3_K", 256, 110, 0, decode_q3_k},
    {TypeId::Q4_K, "q4_K", 256, 144, 0, decode_q4_k},
    {TypeId::Q5_K, "q5_K", 256, 176, 0, decode_q5_k},
    {TypeId::Q6_K, "q6_K", 256, 210, 0, decode_q6_k},
    {TypeId::Q8_K, "q8_K", 256, 292, 0, decode_q8_k},
    {TypeId::IQ2_XXS, "iq2_xxs", 256, 66, 0, decode_iq2_xxs},
    {TypeId::IQ2_XS, "iq2_xs", 256, 74, 0, decode_iq2_xs},
    {TypeId::IQ3_XXS, "iq3_xxs", 256, 98, 0, decode_iq3_xxs},
    {TypeId::IQ1_S, "iq1_s", 256, 50, 0, decode_iq1_s},
    {TypeId::IQ4_NL, "iq4_nl", 32, 18, 0, decode_iq4_nl},
    {TypeId::IQ3_S, "iq3_s", 256, 110, 0, decode_iq3_s},
    {TypeId::IQ2_S, "iq2_s", 256, 82, 0, decode_iq2_s},
    {TypeId::IQ4_XS, "iq4_xs", 256, 136, 0, decode_iq4_xs},
    {TypeId::I8, "i8", 1, 1, 0, decode_i8},
    {TypeId::I16, "i16", 1, 2, 0, decode_i16},
    {TypeId::I32, "i32", 1, 4, 0, decode_i32},
    {TypeId::I64, "i64", 1, 8, 0, decode_i64},
    {TypeId::F64, "f64", 1, 8, 0, decode_f64},
    {TypeId::IQ1_M, "iq1_m", 256, 56, 0, decode_iq1_m},
    {TypeId::BF16, "bf16", 1, 2, 0, decode_bf16},
    {TypeId::TQ1_0, "tq1_0", 256, 54, 0, decode_tq1_0},
    {TypeId::TQ2_0, "tq2_0", 256, 66, 0, decode_tq2_0},
    {TypeId::MXFP4, "mxfp4", 32, 17, 0, decode_mxfp4},
    {TypeId::NVFP4, "nvfp4", 64, 36, 0, decode_nvfp4},
    {TypeId::Q1_0, "q1_0", 128, 18, 0, decode_q1_0},
    {TypeId::Q2_0, "q2_0", 64, 18, 0, decode_q2_0},
});
}  // namespace

std::span<const TypeInfo> all_types() noexcept { return kTypes; }

const TypeInfo* find_type(std::uint32_t id) noexcept {
    for (const TypeInfo& type : kTypes)
        if (static_cast<std::uint32_t>(type.id) == id) return &type;
    return nullptr;
}

const TypeInfo& type_info(TypeId id) {
    if (const TypeInfo* type = find_type(static_cast<std::uint32_t>(id))) return *type;
    throw_error(ErrorKind::Internal, "quant", "type id {} is not in the table",
                static_cast<std::uint32_t>(id));
}

std::uint64_t row_bytes(const TypeInfo& type, std::uint64_t n) {
    const std::uint64_t blocks = n / type.block;
    if (n % type.block != 0 ||
        blocks > (std::numeric_limits<std::uint64_t>::max() - type.row_meta) / type.block_bytes)
        throw_error(ErrorKind::Shape, type.name,
                    "a row of {} weights, expected a multiple of {} that fits 64 bits", n, type.block);
    return type.row_meta + blocks * type.block_bytes;
}

}  // namespace assay::quant
