// The merging of neighbours that SPM and BPE share: a chain of symbols, and again and again the pair of
// neighbours with the best claim becomes one symbol. A heap makes that O(n log n) for n symbols.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace assay::tokenizer {

/// A stretch of the text. `id` is whatever the family gives it.
struct Symbol {
    std::uint32_t begin_byte;
    std::uint32_t n_bytes;  ///< 0 when merged into its left neighbour
    std::uint32_t next;     ///< index, kNoSymbol at the end
    std::uint32_t previous;
    std::uint32_t id;
};
inline constexpr std::uint32_t kNoSymbol = 0xFFFFFFFF;

/// What a pair of neighbours would become. The smallest priority goes first, of equal ones the leftmost.
struct Merge {
    std::uint32_t priority;
    std::uint32_t id;
};

/// A chain under construction; reused from word to word.
class MergeChain {
  public:
    void clear() { symbols_.clear(); }
    /// Symbols arrive in the order of the text; n_bytes > 0.
    void add(std::uint32_t begin_byte, std::uint32_t n_bytes, std::uint32_t id) {
        const auto index = static_cast<std::uint32_t>(symbols_.size());
        if (index > 0) symbols_.back().next = index;
        symbols_.push_back({begin_byte, n_bytes, kNoSymbol, index - 1, id});
    }

    /// Merges until no pair of neighbours can. `find(left, right)` gives an std::optional<Merge>.
    template <typename Find> void run(Find find) {
        queue_.clear();
        for (std::uint32_t left = 0; left + 1 < symbols_.size(); ++left)
            if (const auto entry = claim(left, find)) queue_.push_back(*entry);
        std::make_heap(queue_.begin(), queue_.end(), Later{});
        while (!queue_.empty()) {
            std::pop_heap(queue_.begin(), queue_.end(), Later{});
            const Entry entry = queue_.back();
            queue_.pop_back();
            if (!is_current(entry)) continue;
            const auto left = static_cast<std::uint32_t>(entry.order);
            join(left, entry.id);
            push(symbols_[left].previous, find);
            push(left, find);
        }
    }

    /// visit(symbol) for each that is left, in order.
    template <typename Visit> void for_each(Visit visit) const {
        if (symbols_.empty()) return;
        for (std::uint32_t i = 0; i != kNoSymbol; i = symbols_[i].next) visit(symbols_[i]);
    }

  private:
    /// The claim of symbol `left`, the low half of `order`, on its right neighbour. The length of both tells
    /// whether either has changed since.
    struct Entry {
        std::uint64_t order;
        std::uint32_t n_bytes;
        std::uint32_t id;
    };
    struct Later {
        bool operator()(const Entry& a, const Entry& b) const { return a.order > b.order; }
    };

    template <typename Find> std::optional<Entry> claim(std::uint32_t left, Find& find) const {
        const Symbol& a = symbols_[left];
        const Symbol& b = symbols_[a.next];
        const std::optional<Merge> merge = find(a, b);
        if (!merge) return std::nullopt;
        return Entry{(std::uint64_t{merge->priority} << 32) | left, a.n_bytes + b.n_bytes, merge->id};
    }

    template <typename Find> void push(std::uint32_t left, Find& find) {
        if (left == kNoSymbol || symbols_[left].next == kNoSymbol) return;
        if (const auto entry = claim(left, find)) {
            queue_.push_back(*entry);
            std::push_heap(queue_.begin(), queue_.end(), Later{});
        }
    }

    bool is_current(const Entry& entry) const {
        const Symbol& left = symbols_[static_cast<std::uint32_t>(entry.order)];
        return left.n_bytes > 0 && left.next != kNoSymbol &&
               left.n_bytes + symbols_[left.next].n_bytes == entry.n_bytes;
    }

    void join(std::uint32_t left, std::uint32_t id) {
        Symbol& a = symbols_[left];
        Symbol& b = symbols_[a.next];
        a.n_bytes += b.n_bytes;
        a.id = id;
        b.n_bytes = 0;
        a.next = b.next;
        if (a.next != kNoSymbol) symbols_[a.next].previous = left;
    }

    std::vector<Symbol> symbols_;
    std::vector<Entry> queue_;
};

}  // namespace assay::tokenizer
