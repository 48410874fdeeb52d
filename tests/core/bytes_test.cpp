#include "core/bytes.h"

#include <cmath>
#include <gtest/gtest.h>

#include "core/half.h"

namespace assay {
namespace {

TEST(ByteReader, RefusesALengthNearTwoToThe64) {
    const std::vector<std::byte> bytes(16);
    ByteReader in(bytes, "file");
    in.take(8, "start");
    EXPECT_THROW(in.take(~std::uint64_t{0} - 3, "name"), Error);  // 8 + length would wrap
    EXPECT_THROW(in.take(9, "name"), Error);
    EXPECT_EQ(in.take(8, "name").size(), 8u);
}

TEST(ByteReader, RefusesCountsThatCannotFit) {
    const std::vector<std::byte> bytes(100);
    const ByteReader in(bytes, "file");
    EXPECT_THROW(in.check_count(~std::uint64_t{0}, 14, "pairs"), Error);
    EXPECT_THROW(in.check_count(8, 14, "pairs"), Error);
    EXPECT_NO_THROW(in.check_count(7, 14, "pairs"));
}

TEST(Half, RoundTripsEveryValue) {
    for (std::uint32_t h = 0; h < 0x10000; ++h) {
        const float f = half_to_float(static_cast<std::uint16_t>(h));
        if (std::isnan(f)) continue;
        ASSERT_EQ(float_to_half(f), h);
    }
    EXPECT_EQ(half_to_float(1), 0x1p-24f);
    EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
    EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
}

TEST(Bf16, RoundsToNearestEven) {
    EXPECT_EQ(float_to_bf16(1.0f), 0x3f80);
    EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // tie, even stays
    EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);  // tie, odd goes up
    EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace assay
