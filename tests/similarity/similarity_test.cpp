#include "similarity/similarity.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace assay::similarity {
namespace {

TEST(Cosine, KnowsItsBounds) {
    const std::vector<float> x{3, 4}, y{4, -3}, zero{0, 0}, longer{1, 2, 3};
    EXPECT_DOUBLE_EQ(cosine(x, x), 1);
    EXPECT_EQ(cosine(x, y), 0);
    EXPECT_EQ(cosine(x, zero), 0);
    EXPECT_THROW(cosine(x, longer), Error);
}

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

TEST(Similarity, MergingEqualsAdding) {
    Similarity all, a, b;
    a.add(Kind::Ffn, 2, 1.5, 3);
    b.add(Kind::Ffn, 2, 0.25, 1);
    b.add(Kind::Attention, 0, 1, 2);
    all.merge(a);
    all.merge(b);
    EXPECT_EQ(all.sums(Kind::Ffn)[2].cos, 1.75);
    EXPECT_EQ(all.sums(Kind::Ffn)[2].count, 4u);
    EXPECT_EQ(all.sums(Kind::Attention)[0].count, 2u);
}

}  // namespace
}  // namespace assay::similarity
