#include "similarity/similarity.h"

#include <gtest/gtest.h>

namespace assay::similarity {
namespace {

TEST(Similarity, RanksByMagnitudeAndKeepsTheSign) {
    Similarity s;
    s.add(Kind::Layer, 0, 2.0, 4);   // 0.5
    s.add(Kind::Layer, 1, 0.4, 4);   // 0.1
    s.add(Kind::Layer, 3, -0.4, 4);  // -0.1, the same magnitude as layer 1
    s.add(Kind::Layer, 0, 1.0, 1);   // now 3 / 5
    const auto ranked = s.finish(Kind::Layer);
    ASSERT_EQ(ranked.size(), 3u);  // layer 2 has no data
    EXPECT_EQ(ranked[0].layer, 1);
    EXPECT_EQ(ranked[1].layer, 3);
    EXPECT_FLOAT_EQ(ranked[1].cos_sim, -0.1f);
    EXPECT_EQ(ranked[2].layer, 0);
    EXPECT_FLOAT_EQ(ranked[2].cos_sim, 0.6f);
    EXPECT_TRUE(s.finish(Kind::Ffn).empty());
}

}  // namespace
}  // namespace assay::similarity
