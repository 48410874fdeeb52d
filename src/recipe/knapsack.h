// The multiple-choice knapsack: one option of each item, least total cost, total size within a budget.
//
// The relaxation that allows mixing two options of one item is solved exactly: walk the lower convex hulls of
// all items in the order of cost saved per byte (Sinha and Zoltners 1979). It gives a bound that no choice
// can beat, and at most one item mixed. The same walk, stopped at the last step that fits, gives a choice;
// exchanges of one or two items use up the bytes left over. Where the gap between the two is worth it, the
// mixed item is split into its smaller and its larger options and both halves are solved in turn, the lowest
// bound first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay::recipe {

struct Option {
    std::uint64_t bytes = 0;
    double cost = 0.0;  ///< finite, not negative
};

/// The options of one item, in any order; at least one.
using Item = std::vector<Option>;

struct Choice {
    std::vector<std::size_t> option;  ///< [items] index into each item's options
    std::uint64_t bytes = 0;
    double cost = 0.0;
    double bound = 0.0;  ///< no choice within the budget costs less

    /// How far the cost may lie above the best possible, as a part of the cost; 0 is proven best.
    double gap() const noexcept { return cost > 0.0 ? (cost - bound) / cost : 0.0; }
};

/// Halves are no longer split when the gap is below this.
inline constexpr double kGoodGap = 1e-4;

/// Sum of the smallest option of each item.
std::uint64_t smallest_bytes(std::span<const Item> items);

/// Deterministic. Throws Error{Usage} with both sizes when even the smallest options exceed the budget, and
/// Error{Internal} for an item without options.
Choice solve(std::span<const Item> items, std::uint64_t budget_bytes);

}  // namespace assay::recipe
