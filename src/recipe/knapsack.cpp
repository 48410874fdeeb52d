#include "recipe/knapsack.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <list>
#include <optional>
#include <utility>

#include "core/error.h"

namespace assay::recipe {

namespace {

/// Exchanges are tried among this many changes of one item: the ones that lose least at the going price of a
/// byte. Pairs are their square.
constexpr std::size_t kMaxMoves = 256;

/// Halves solved before the gap is left as it is. The first few decide: they place the items that are large
/// against the budget.
constexpr std::size_t kMaxNodes = 64;

/// A step of one item's hull: `bytes` more for `saved` less cost.
struct Step {
    std::size_t item;
    std::size_t to;  ///< option
    std::uint64_t bytes;
    double saved;

    double rate() const noexcept { return saved / static_cast<double>(bytes); }
};

/// The sizes that an item may have.
struct Range {
    std::uint64_t least = 0;
    std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

    bool holds(const Option& option) const noexcept { return option.bytes >= least && option.bytes <= most; }
};

/// The options within the range on the lower convex hull of cost over bytes, smallest first, each cheaper
/// than the one before.
std::vector<std::size_t> hull(const Item& item, const Range& range) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < item.size(); ++i)
        if (range.holds(item[i])) order.push_back(i);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (item[a].bytes != item[b].bytes) return item[a].bytes < item[b].bytes;
        return item[a].cost != item[b].cost ? item[a].cost < item[b].cost : a < b;
    });
    const auto rate = [&](std::size_t from, std::size_t to) {
        return (item[from].cost - item[to].cost) / static_cast<double>(item[to].bytes - item[from].bytes);
    };
    std::vector<std::size_t> kept;
    for (const std::size_t next : order) {
        if (!kept.empty() && item[next].cost >= item[kept.back()].cost) continue;
        while (kept.size() >= 2 && rate(kept[kept.size() - 2], kept.back()) <= rate(kept.back(), next))
            kept.pop_back();
        kept.push_back(next);
    }
    return kept;
}

/// A part of the problem: items within ranges; its relaxation and a choice.
class Node {
  public:
    Node(std::span<const Item> items, std::vector<Range> ranges, std::uint64_t budget)
        : items_(items), ranges_(std::move(ranges)), budget_(budget) {
        start();
        if (!feasible()) return;
        walk();
        while (improve()) {
        }
    }

    bool feasible() const noexcept { return choice_.bytes <= budget_; }
    const Choice& choice() const noexcept { return choice_; }
    double bound() const noexcept { return bound_; }

    /// The ranges of the two halves; nothing when no item is mixed, so that the choice is the best here.
    std::vector<std::vector<Range>> halves() const {
        if (!mixed_) return {};
        auto smaller = ranges_;
        auto larger = ranges_;
        smaller[mixed_->item].most = mixed_->larger - 1;
        larger[mixed_->item].least = mixed_->larger;
        return {std::move(smaller), std::move(larger)};
    }

  private:
    struct Mixed {
        std::size_t item;
        std::uint64_t larger;  ///< bytes of the larger of the two options
    };

    struct Move {
        std::size_t item;
        std::size_t to;
        std::int64_t bytes;  ///< more than now
        double cost;         ///< more than now
        double loss;         ///< cost + price * bytes, what the move loses at the going price
    };

    const Option& now(std::size_t item) const { return items_[item][choice_.option[item]]; }

    /// Everything at its smallest, and the steps up from there.
    void start() {
        for (std::size_t i = 0; i < items_.size(); ++i) {
            const auto kept = hull(items_[i], ranges_[i]);
            choice_.option.push_back(kept.front());
            for (std::size_t k = 1; k < kept.size(); ++k) {
                const Option& from = items_[i][kept[k - 1]];
                const Option& to = items_[i][kept[k]];
                steps_.push_back({i, kept[k], to.bytes - from.bytes, from.cost - to.cost});
            }
        }
        recount();
        std::stable_sort(steps_.begin(), steps_.end(),
                         [](const Step& a, const Step& b) { return a.rate() > b.rate(); });
    }

    /// Takes steps while they fit. The first that does not gives the bound and the price of a byte; a later,
    /// smaller step of an item that has not been passed over may still fit.
    void walk() {
        bound_ = choice_.cost;
        std::vector<char> stopped(items_.size(), 0);
        bool broke = false;
        for (const Step& step : steps_) {
            const std::uint64_t left = budget_ - choice_.bytes;
            if (!broke && step.bytes <= left) {
                bound_ -= step.saved;
            } else if (!broke) {
                broke = true;
                price_ = step.rate();
                mixed_ = Mixed{step.item, items_[step.item][step.to].bytes};
                bound_ -= price_ * static_cast<double>(left);
            }
            if (step.bytes > left) stopped[step.item] = 1;
            if (stopped[step.item]) continue;
            choice_.option[step.item] = step.to;
            choice_.bytes += step.bytes;
        }
        recount();
    }

    std::vector<Move> moves() const {
        std::vector<Move> found;
        for (std::size_t i = 0; i < items_.size(); ++i) {
            const Option& from = now(i);
            for (std::size_t k = 0; k < items_[i].size(); ++k) {
                if (k == choice_.option[i] || !ranges_[i].holds(items_[i][k])) continue;
                const Option& to = items_[i][k];
                const auto bytes =
                    static_cast<std::int64_t>(to.bytes) - static_cast<std::int64_t>(from.bytes);
                const double cost = to.cost - from.cost;
                found.push_back({i, k, bytes, cost, cost + price_ * static_cast<double>(bytes)});
            }
        }
        std::stable_sort(found.begin(), found.end(),
                         [](const Move& a, const Move& b) { return a.loss < b.loss; });
        if (found.size() > kMaxMoves) found.resize(kMaxMoves);
        return found;
    }

    /// Makes the best change of one item or of two that fits and lowers the cost. False when there is none.
    bool improve() {
        const auto found = moves();
        const auto left = static_cast<std::int64_t>(budget_ - choice_.bytes);
        const Move* first = nullptr;
        const Move* second = nullptr;
        double best = -1e-12 * choice_.cost;  // gains below rounding could be exchanged for ever
        const auto consider = [&](std::int64_t bytes, double cost, const Move* a, const Move* b) {
            if (bytes > left || cost >= best) return;
            best = cost;
            first = a;
            second = b;
        };
        for (std::size_t a = 0; a < found.size(); ++a) {
            consider(found[a].bytes, found[a].cost, &found[a], nullptr);
            for (std::size_t b = a + 1; b < found.size(); ++b)
                if (found[b].item != found[a].item)
                    consider(found[a].bytes + found[b].bytes, found[a].cost + found[b].cost, &found[a],
                             &found[b]);
        }
        if (first == nullptr) return false;
        choice_.option[first->item] = first->to;
        if (second != nullptr) choice_.option[second->item] = second->to;
        recount();
        return true;
    }

    void recount() {
        choice_.bytes = 0;
        choice_.cost = 0.0;
        for (std::size_t i = 0; i < items_.size(); ++i) {
            choice_.bytes += now(i).bytes;
            choice_.cost += now(i).cost;
        }
    }

    std::span<const Item> items_;
    std::vector<Range> ranges_;
    std::uint64_t budget_;
    std::vector<Step> steps_;
    std::optional<Mixed> mixed_;
    Choice choice_;
    double bound_ = 0.0;
    double price_ = 0.0;
};

}  // namespace

std::uint64_t smallest_bytes(std::span<const Item> items) {
    std::uint64_t sum = 0;
    for (const Item& item : items) {
        if (item.empty()) throw_error(ErrorKind::Internal, "recipe", "an item has no options");
        sum += std::min_element(item.begin(), item.end(), [](const Option& a, const Option& b) {
                   return a.bytes < b.bytes;
               })->bytes;
    }
    return sum;
}

Choice solve(std::span<const Item> items, std::uint64_t budget_bytes) {
    const std::uint64_t smallest = smallest_bytes(items);
    if (smallest > budget_bytes)
        throw_error(ErrorKind::Usage, "recipe", "the smallest choice takes {} bytes, the budget is {}",
                    smallest, budget_bytes);
    std::list<Node> open;
    open.emplace_back(items, std::vector<Range>(items.size()), budget_bytes);
    Choice best = open.front().choice();
    const auto lowest = [&] {
        return std::min_element(open.begin(), open.end(),
                                [](const Node& a, const Node& b) { return a.bound() < b.bound(); });
    };
    for (std::size_t n = 1; n < kMaxNodes && !open.empty(); n += 2) {
        const auto node = lowest();
        if (node->bound() >= best.cost * (1.0 - kGoodGap)) break;
        const auto halves = node->halves();
        open.erase(node);
        for (const auto& ranges : halves) {
            Node half(items, ranges, budget_bytes);
            if (!half.feasible()) continue;
            if (half.choice().cost < best.cost) best = half.choice();
            open.push_back(std::move(half));
        }
    }
    // Every choice lies in an open node or costs no less than the best of a finished one.
    // Rounding may put a bound a hair above a choice that is best.
    best.bound = std::max(0.0, open.empty() ? best.cost : std::min(best.cost, lowest()->bound()));
    return best;
}

}  // namespace assay::recipe
