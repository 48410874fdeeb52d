// Every vector decoder against the scalar one: same bits, for every instruction set this machine has.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "quant/decode.h"

namespace assay::quant {
namespace {

constexpr std::array kLevels{Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx};

/// Decodes `n_blocks` random blocks that begin `shift` bytes into the heap block and end with it.
void compare(const TypeInfo& type, Isa isa, std::size_t n_blocks, std::size_t shift, std::mt19937& random) {
    const std::size_t n = n_blocks * type.block;
    const std::size_t n_out = n * type.group_rows;
    std::vector<std::byte> bytes(shift + row_bytes(type, n) * type.group_rows);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    constexpr float kUntouched = 12345.0f;
    std::vector<float> expected(n_out);
    std::vector<float> found(n_out + 1, kUntouched);
    type.decode(bytes.data() + shift, n, expected.data());
    decoder(type.id, isa)(bytes.data() + shift, n, found.data());
    EXPECT_EQ(found[n_out], kUntouched) << type.name << " writes past its row";
    for (std::size_t i = 0; i < n_out; ++i) {
        // Random scales include infinities and NaN; a NaN must stay one, its payload is free.
        if (std::isnan(expected[i]) && std::isnan(found[i])) continue;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(found[i]), std::bit_cast<std::uint32_t>(expected[i]))
            << type.name << " " << to_string(isa) << " weight " << i << ", " << n_blocks << " blocks at "
            << shift;
    }
}

TEST(FastDecode, EqualsScalarBitForBit) {
    std::mt19937 random(7);
    for (const Isa isa : kLevels) {
        if (isa > detect_isa()) continue;
        for (const TypeInfo& type : all_types())
            for (const std::size_t n_blocks : {0, 1, 2, 3, 15, 33, 160})
                for (const std::size_t shift : {0, 1, 3})
                    ASSERT_NO_FATAL_FAILURE(compare(type, isa, n_blocks, shift, random));
    }
}

TEST(FastDecode, AllScalesOfTheSmallTypes) {
    // Every half as Q8_0's scale, every exponent of MXFP4, against fixed codes.
    for (const Isa isa : kLevels) {
        if (isa > detect_isa()) continue;
        std::array<std::byte, 34> block{};
        for (std::size_t i = 2; i < 34; ++i) block[i] = static_cast<std::byte>(i * 37);
        std::array<float, 32> expected{};
        std::array<float, 32> found{};
        for (std::uint32_t h = 0; h < 0x10000; ++h) {
            if ((h & 0x7c00) == 0x7c00) continue;
            block[0] = static_cast<std::byte>(h);
            block[1] = static_cast<std::byte>(h >> 8);
            type_info(TypeId::Q8_0).decode(block.data(), 32, expected.data());
            decoder(TypeId::Q8_0, isa)(block.data(), 32, found.data());
            ASSERT_EQ(std::memcmp(found.data(), expected.data(), sizeof found), 0) << h;
        }
        for (int e = 0; e < 256; ++e) {
            block[0] = static_cast<std::byte>(e);
            type_info(TypeId::MXFP4).decode(block.data(), 32, expected.data());
            decoder(TypeId::MXFP4, isa)(block.data(), 32, found.data());
            ASSERT_EQ(std::memcmp(found.data(), expected.data(), sizeof found), 0) << e;
        }
    }
}

TEST(FastDecode, ExistsForTheCommonTypes) {
    for (const Isa isa : {Isa::Avx2, Isa::Avx512}) {
        if (isa > detect_isa()) GTEST_SKIP() << "this machine stops at " << to_string(detect_isa());
        for (const TypeId id :
             {TypeId::IQ1_S,   TypeId::IQ1_M,   TypeId::IQ2_XXS,  TypeId::IQ2_XS,    TypeId::IQ2_S,
              TypeId::IQ3_XXS, TypeId::IQ3_S,   TypeId::NVFP4,    TypeId::Q6_0,      TypeId::IQ2_K,
              TypeId::IQ3_K,   TypeId::IQ4_K,   TypeId::IQ5_K,    TypeId::IQ6_K,     TypeId::IQ2_KS,
              TypeId::IQ2_KL,  TypeId::IQ3_KS,  TypeId::IQ4_KS,   TypeId::IQ4_KSS,   TypeId::IQ5_KS,
              TypeId::IQ1_KT,  TypeId::IQ2_KT,  TypeId::IQ3_KT,   TypeId::IQ4_KT,    TypeId::Q4_0_R8,
              TypeId::Q8_0_R8, TypeId::Q4_K_R4, TypeId::IQ4_K_R4, TypeId::IQ5_KS_R4, TypeId::F16,
              TypeId::BF16,    TypeId::Q4_0,    TypeId::Q4_1,     TypeId::Q5_0,      TypeId::Q5_1,
              TypeId::Q8_0,    TypeId::Q2_K,    TypeId::Q3_K,     TypeId::Q4_K,      TypeId::Q5_K,
              TypeId::Q6_K,    TypeId::IQ4_NL,  TypeId::IQ4_XS,   TypeId::MXFP4})
            EXPECT_NE(decoder(id, isa), type_info(id).decode) << type_info(id).name;
    }
    EXPECT_EQ(decoder(TypeId::Q4_K, Isa::Scalar), type_info(TypeId::Q4_K).decode);
}

}  // namespace
}  // namespace assay::quant
