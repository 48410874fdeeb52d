#include "cli/output.h"

#include <gtest/gtest.h>

namespace assay::cli {
namespace {

TEST(SizeText, ChoosesTheUnit) {
    EXPECT_EQ(size_text(0), "0 B");
    EXPECT_EQ(size_text(1023), "1023 B");
    EXPECT_EQ(size_text(1536), "1.50 KiB");
    EXPECT_EQ(size_text(0x1p40), "1.00 TiB");
    EXPECT_EQ(size_text(0x1p51), "2048.00 TiB");
}

TEST(TimeText, ShowsHoursOnlyWhenThereAreAny) {
    EXPECT_EQ(time_text(0), "0:00");
    EXPECT_EQ(time_text(-3), "0:00");
    EXPECT_EQ(time_text(59.6), "1:00");
    EXPECT_EQ(time_text(187), "3:07");
    EXPECT_EQ(time_text(7540), "2:05:40");
}

}  // namespace
}  // namespace assay::cli
