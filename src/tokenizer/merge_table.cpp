#include "tokenizer/merge_table.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <limits>

#include "core/error.h"

namespace assay::tokenizer {

MergeTable::MergeTable(const gguf::Strings& merges, Vocabulary& vocabulary) {
    if (merges.size() > std::numeric_limits<std::uint32_t>::max() / 4)
        throw_error(ErrorKind::BadFile, vocabulary.where(), "tokenizer.ggml.merges has {} entries",
                    merges.size());
    pairs_.resize(std::bit_ceil(2 * merges.size() + 2));
    hash_shift_ = 64 - std::countr_zero(pairs_.size());
    numbers_.reserve(merges.size() + 256);
    std::size_t n_ignored = 0;
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        const std::string& merge = merges[rank];
        const std::size_t space = merge.find(' ', 1);
        if (space == std::string::npos || space + 1 == merge.size()) {
            ++n_ignored;
            continue;
        }
        std::string left = merge.substr(0, space);
        std::string right = merge.substr(space + 1);
        std::string joined = left + right;
        const std::uint64_t first = number_of(std::move(left));
        const std::uint64_t key = first << 32 | number_of(std::move(right));
        insert(key, {static_cast<std::uint32_t>(rank), number_of(std::move(joined))});
    }
    if (n_ignored > 0)
        vocabulary.warn(
            fmt::format("{} of {} merges do not have two parts; ignored", n_ignored, merges.size()));
}

std::uint32_t MergeTable::number_of(std::string text) {
    const auto [it, added] = numbers_.emplace(std::move(text), static_cast<std::uint32_t>(texts_.size()));
    if (added) texts_.push_back(&it->first);
    return it->second;
}

std::uint32_t MergeTable::find(std::string_view text) const {
    const auto it = numbers_.find(std::string(text));
    return it == numbers_.end() ? kNoText : it->second;
}

/// Where `key` is, or the free slot where it belongs.
std::size_t MergeTable::slot_of(std::uint64_t key) const {
    // Multiplicative hashing with the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
    const std::size_t mask = pairs_.size() - 1;
    std::size_t slot = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> hash_shift_);
    while (pairs_[slot].key != key && pairs_[slot].key != kNoPair) slot = (slot + 1) & mask;
    return slot;
}

void MergeTable::insert(std::uint64_t key, Joined joined) {
    Pair& pair = pairs_[slot_of(key)];
    if (pair.key == kNoPair) pair = {key, joined};
}

const MergeTable::Joined* MergeTable::find(std::uint32_t left, std::uint32_t right) const {
    if (left == kNoText || right == kNoText) return nullptr;
    const Pair& pair = pairs_[slot_of(std::uint64_t{left} << 32 | right)];
    return pair.key == kNoPair ? nullptr : &pair.joined;
}

}  // namespace assay::tokenizer
