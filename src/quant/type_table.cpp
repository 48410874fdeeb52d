#include "quant/type_table.h"

#include <array>
#include <limits>

#include "core/error.h"
#include "quant/interleaved_iq_blocks.h"
#include "quant/iq_grids.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

/// The tables that the types of ik_blocks.h and interleaved_*.h are decoded with.
const Codebooks kBooks{kGridIq1[0].data(),  kGridIq2Xxs[0].data(), kGridIq2Xs[0].data(),
                       kGridIq2S[0].data(), kGridIq3Xxs[0].data(), kGridIq3S[0].data(),
                       kIk2Levels.data(),   kIk3Levels.data(),     kIq4Levels.data(),
                       kIk5Levels.data(),   kIk2Pairs.data(),      kFp4Doubled.data()};

template <typename Type> void decode_rows(const std::byte* rows, std::size_t n, float* out) {
    const auto* scales = reinterpret_cast<Bytes>(rows);
    const Bytes blocks = scales + Type::kRows * Type::kRowMeta;
    for (unsigned lane = 0; lane < Type::kRows; ++lane)
        for (std::size_t i = 0; i < n; i += 8, out += 8)
            Type::eight({scales + lane * Type::kRowMeta,
                         blocks + i / Type::kWeights * Type::kRows * Type::kBytes, lane},
                        static_cast<unsigned>(i % Type::kWeights), out, kBooks);
}

template <typename Type> constexpr TypeInfo row(TypeId id, std::string_view name) {
    return {id, name, Type::kWeights, Type::kBytes, Type::kRowMeta, decode_rows<Type>, Type::kRows};
}

// By id. Ids 4, 5, 31 to 33, 37, 38, 142 and 143 were removed from the formats. Left out: 36, I2_S, which has
// one scale for a tensor and that behind its last row; and what only activations are stored in (97 to 99,
// 136, 147 to 150).
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
    row<Q6_0>(TypeId::Q6_0, "q6_0"),
    row<Iq1Bn>(TypeId::IQ1_BN, "iq1_bn"),
    row<Iq2Bn>(TypeId::IQ2_BN, "iq2_bn"),
    row<Iq2K>(TypeId::IQ2_K, "iq2_k"),
    row<Iq3K>(TypeId::IQ3_K, "iq3_k"),
    row<Iq4K>(TypeId::IQ4_K, "iq4_k"),
    row<Iq5K>(TypeId::IQ5_K, "iq5_k"),
    row<Iq6K>(TypeId::IQ6_K, "iq6_k"),
    row<Iq4Ks>(TypeId::IQ4_KS, "iq4_ks"),
    row<Iq2Ks>(TypeId::IQ2_KS, "iq2_ks"),
    row<Iq4Kss>(TypeId::IQ4_KSS, "iq4_kss"),
    row<Q8Kv>(TypeId::Q8_KV, "q8_KV"),
    row<Iq5Ks>(TypeId::IQ5_KS, "iq5_ks"),
    row<Iq2Kt>(TypeId::IQ2_KT, "iq2_kt"),
    row<Iq3Kt>(TypeId::IQ3_KT, "iq3_kt"),
    row<Iq4Kt>(TypeId::IQ4_KT, "iq4_kt"),
    row<Iq3Ks>(TypeId::IQ3_KS, "iq3_ks"),
    row<Iq2Kl>(TypeId::IQ2_KL, "iq2_kl"),
    row<Iq1Kt>(TypeId::IQ1_KT, "iq1_kt"),
    row<Q4_0R8>(TypeId::Q4_0_R8, "q4_0_r8"),
    row<Q5_0R4>(TypeId::Q5_0_R4, "q5_0_r4"),
    row<Q8_0R8>(TypeId::Q8_0_R8, "q8_0_r8"),
    row<Q2KR4>(TypeId::Q2_K_R4, "q2_k_r4"),
    row<Q3KR4>(TypeId::Q3_K_R4, "q3_k_r4"),
    row<Q4KR4>(TypeId::Q4_K_R4, "q4_k_r4"),
    row<Q5KR4>(TypeId::Q5_K_R4, "q5_k_r4"),
    row<Q6KR4>(TypeId::Q6_K_R4, "q6_k_r4"),
    row<Iq2XxsR4>(TypeId::IQ2_XXS_R4, "iq2_xxs_r4"),
    row<Iq2XsR4>(TypeId::IQ2_XS_R4, "iq2_xs_r4"),
    row<Iq3XxsR4>(TypeId::IQ3_XXS_R4, "iq3_xxs_r4"),
    row<Iq1SR4>(TypeId::IQ1_S_R4, "iq1_s_r4"),
    row<Iq4NlR4>(TypeId::IQ4_NL_R4, "iq4_nl_r4"),
    row<Iq3SR4>(TypeId::IQ3_S_R4, "iq3_s_r4"),
    row<Iq2SR4>(TypeId::IQ2_S_R4, "iq2_s_r4"),
    row<Iq4XsR8>(TypeId::IQ4_XS_R8, "iq4_xs_r8"),
    row<Iq1MR4>(TypeId::IQ1_M_R4, "iq1_m_r4"),
    row<Bf16R16>(TypeId::BF16_R16, "bf16_r16"),
    row<Q6_0R4>(TypeId::Q6_0_R4, "q6_0_r4"),
    row<Iq2BnR4>(TypeId::IQ2_BN_R4, "iq2_bn_r4"),
    row<Iq2KR4>(TypeId::IQ2_K_R4, "iq2_k_r4"),
    row<Iq3KR4>(TypeId::IQ3_K_R4, "iq3_k_r4"),
    row<Iq4KR4>(TypeId::IQ4_K_R4, "iq4_k_r4"),
    row<Iq5KR4>(TypeId::IQ5_K_R4, "iq5_k_r4"),
    row<Iq4KsR4>(TypeId::IQ4_KS_R4, "iq4_ks_r4"),
    row<Iq5KsR4>(TypeId::IQ5_KS_R4, "iq5_ks_r4"),
    row<Mxfp4R8>(TypeId::MXFP4_R8, "mxfp4_r8"),
    row<Q8KR16>(TypeId::Q8_K_R16, "q8_k_r16"),
    row<Q8KvR8>(TypeId::Q8_KV_R8, "q8_KV_r8"),
    row<Q8KR8>(TypeId::Q8_K_R8, "q8_k_r8"),
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
