#include "recipe/knapsack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <random>

#include "core/error.h"

namespace assay::recipe {
namespace {

/// The least cost of any choice within the budget, by trying them all.
double brute_force(const std::vector<Item>& items, std::uint64_t budget, std::size_t item = 0) {
    if (item == items.size()) return 0.0;
    double best = std::numeric_limits<double>::infinity();
    for (const Option& option : items[item])
        if (option.bytes <= budget)
            best = std::min(best, option.cost + brute_force(items, budget - option.bytes, item + 1));
    return best;
}

/// Items whose costs fall with size about as types do: by 6 dB per bit, with noise.
std::vector<Item> random_items(std::mt19937& random) {
    std::vector<Item> items(1 + random() % 7);
    for (Item& item : items) {
        const std::uint64_t scale = 1 + random() % 50;
        item.resize(1 + random() % 5);
        for (Option& option : item) {
            const std::uint64_t bits = 2 + random() % 7;
            option.bytes = scale * bits;
            option.cost = static_cast<double>(1 + random() % 1000) / static_cast<double>(1u << bits);
        }
    }
    return items;
}

TEST(Knapsack, NeverClaimsMoreThanBruteForceFinds) {
    std::mt19937 random(7);
    int proven = 0, best_found = 0, solved = 0;
    for (int trial = 0; trial < 2000; ++trial) {
        const auto items = random_items(random);
        const std::uint64_t budget = smallest_bytes(items) + random() % 400;
        const Choice choice = solve(items, budget);
        const double best = brute_force(items, budget);
        double cost = 0.0;
        std::uint64_t bytes = 0;
        for (std::size_t i = 0; i < items.size(); ++i) {
            cost += items[i][choice.option[i]].cost;
            bytes += items[i][choice.option[i]].bytes;
        }
        const double rounding = 1e-12 * (1.0 + best);  // sums of at most seven doubles
        ASSERT_LE(bytes, budget);
        ASSERT_EQ(bytes, choice.bytes);
        ASSERT_NEAR(cost, choice.cost, rounding);
        ASSERT_GE(choice.cost, best - rounding) << "trial " << trial;
        ASSERT_LE(choice.bound, best + rounding) << "trial " << trial;
        ASSERT_GE(choice.gap(), 0.0);
        ++solved;
        best_found += choice.cost <= best + rounding;
        proven += choice.gap() < 1e-12;
    }
    EXPECT_EQ(solved, 2000);
    EXPECT_GT(best_found, 1900);  // exchanges of one and two items find nearly all
    EXPECT_GT(proven, 200);       // at least where everything fits
}

TEST(Knapsack, TakesTheBestOfEverythingWhenItFits) {
    const std::vector<Item> items = {{{10, 5.0}, {20, 1.0}}, {{10, 3.0}, {30, 0.5}, {40, 0.75}}};
    const Choice choice = solve(items, 1000);
    EXPECT_THAT(choice.option, testing::ElementsAre(1, 1));
    EXPECT_EQ(choice.bytes, 50u);
    EXPECT_DOUBLE_EQ(choice.cost, 1.5);
    EXPECT_EQ(choice.gap(), 0.0);
}

TEST(Knapsack, SpendsWhatTheWalkLeavesOver) {
    // By cost per byte the first item's step (4 for 10 bytes) comes first, then the second's 6 for 20 no
    // longer fits 29. The exchange finds that the second alone is better.
    const std::vector<Item> items = {{{10, 4.0}, {20, 0.0}}, {{10, 6.0}, {30, 0.0}}};
    const Choice choice = solve(items, 49);
    EXPECT_THAT(choice.option, testing::ElementsAre(0, 1));
    EXPECT_DOUBLE_EQ(choice.cost, 4.0);
}

TEST(Knapsack, UsesOptionsOffTheHull) {
    // The middle option is off the hull (10 -> 20 saves 1, 20 -> 30 saves 9), but it is all that fits.
    const std::vector<Item> items = {{{10, 10.0}, {20, 9.0}, {30, 0.0}}};
    EXPECT_THAT(solve(items, 29).option, testing::ElementsAre(1));
}

TEST(Knapsack, SaysBothSizesWhenNothingFits) {
    const std::vector<Item> items = {{{10, 1.0}, {12, 0.0}}, {{7, 1.0}}};
    try {
        solve(items, 16);
        FAIL() << "17 bytes were put into 16";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Usage);
        EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("17 bytes"), testing::HasSubstr("16")));
    }
    EXPECT_EQ(solve(items, 17).bytes, 17u);
}

TEST(Knapsack, NoItemsCostNothing) {
    const Choice choice = solve({}, 0);
    EXPECT_EQ(choice.bytes, 0u);
    EXPECT_EQ(choice.gap(), 0.0);
}

}  // namespace
}  // namespace assay::recipe
