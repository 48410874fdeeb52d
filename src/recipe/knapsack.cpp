#include "recipe/knapsack.h"

#include <algorithm>
#include <cstddef>

#include "core/error.h"

namespace assay::recipe {

namespace {

/// Exchanges are tried among this many changes of one item: the ones that lose least at the going price of a
/// byte. Pairs are their square.
constexpr std::size_t kMaxMoves = 512;

/// A step of one item's hull: `bytes` more for `saved` less cost.
struct Step {
    std::size_t item;
    std::size_t to;  ///< option
    std::uint64_t bytes;
    double saved;

    double rate() const noexcept { return saved / static_cast<double>(bytes); }
};

/// The options on the lower convex hull of cost over bytes, smallest first, each cheaper than the one before.
std::vector<std::size_t> hull(const Item& item) {
    std::vector<std::size_t> order(item.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
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

class Solver {
  public:
    Solver(std::span<const Item> items, std::uint64_t budget) : items_(items), budget_(budget) {}

    Choice run() {
        start();
        walk();
        while (improve()) {
        }
        recount();
        // Rounding may put the bound a hair above a choice that is best.
        choice_.bound = std::min(std::max(bound_, 0.0), choice_.cost);
        return choice_;
    }

  private:
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
            const auto kept = hull(items_[i]);
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
                if (k == choice_.option[i]) continue;
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
    std::uint64_t budget_;
    std::vector<Step> steps_;
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
    return Solver(items, budget_bytes).run();
}

}  // namespace assay::recipe
