#include "backend/cpu/expert_shares.h"

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"

namespace assay::backend::cpu {
namespace {

/// As many rows of each chunk choose an expert as it has numbers.
CpuRouting routing_of(const std::vector<std::vector<std::int32_t>>& rows_of_chunks) {
    CpuRouting routing;
    routing.n_experts = std::ssize(rows_of_chunks);
    for (const std::vector<std::int32_t>& chunks : rows_of_chunks) {
        auto& choices = routing.by_expert.emplace_back();
        for (std::int32_t chunk = 0; chunk < std::ssize(chunks); ++chunk)
            for (std::int32_t i = 0; i < chunks[static_cast<std::size_t>(chunk)]; ++i)
                choices.push_back({1000 * chunk + i, chunk, 1, 1});
    }
    return routing;
}

/// Goes through all; each expert's rows come once and in order.
std::vector<std::vector<Share>> all_of(const CpuRouting& routing, std::int64_t most_rows) {
    std::vector<std::vector<Share>> groups;
    std::vector<std::size_t> taken(routing.by_expert.size());
    Shares shares(routing, 0, routing.n_experts);
    for (auto group = shares.next(most_rows); !group.empty(); group = shares.next(most_rows)) {
        EXPECT_LE(rows_of(group), most_rows);
        std::int64_t first = 0;
        for (const Share& share : group) {
            EXPECT_EQ(share.first, first);
            first += (std::ssize(share.choices) + kExpertTile - 1) / kExpertTile * kExpertTile;
            const auto expert = static_cast<std::size_t>(share.expert);
            EXPECT_EQ(share.choices.data(), routing.by_expert[expert].data() + taken[expert]);
            taken[expert] += share.choices.size();
        }
        EXPECT_EQ(rows_of(group), first);
        groups.push_back(std::move(group));
    }
    for (std::size_t e = 0; e < taken.size(); ++e) EXPECT_EQ(taken[e], routing.by_expert[e].size());
    return groups;
}

TEST(Shares, AnExpertWithManyRowsComesInParts) {
    const CpuRouting routing = routing_of({{5}, {1000, 700}, {}, {3}});
    const auto groups = all_of(routing, 4 * kExpertTile);
    EXPECT_GE(groups.size(), 7u);
    EXPECT_EQ(groups.front().size(), 2u) << "the second expert fills what the first leaves";
}

TEST(Shares, ChunksAreCutBehindWholeStrands) {
    const CpuRouting routing = routing_of({{70, 300, 1, 129, 640}});
    for (const std::int64_t tiles : {1, 2, 3, 5, 100}) {
        std::vector<std::int64_t> done(5);
        for (const auto& group : all_of(routing, tiles * kExpertTile))
            for (const Segment& segment : segments_of(group)) {
                auto& rows = done[static_cast<std::size_t>(segment.chunk)];
                EXPECT_EQ(rows % kRowTile, 0) << "chunk " << segment.chunk << ", " << tiles << " tiles";
                rows += std::ssize(segment.choices);
            }
        EXPECT_EQ(done, (std::vector<std::int64_t>{70, 300, 1, 129, 640}));
    }
}

TEST(Shares, OfNoRowsAreNone) {
    const CpuRouting routing = routing_of({{}, {}});
    EXPECT_TRUE(all_of(routing, kExpertTile).empty());
}

}  // namespace
}  // namespace assay::backend::cpu
