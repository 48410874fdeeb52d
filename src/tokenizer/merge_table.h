// What byte-pair merging needs to know of a vocabulary: every text that can occur as a symbol has a number,
// and pairs of numbers lead to a rank and the number of the joined text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gguf/metadata.h"
#include "tokenizer/vocabulary.h"

namespace assay::tokenizer {

class MergeTable {
  public:
    static constexpr std::uint32_t kNoText = 0xFFFFFFFF;

    struct Joined {
        std::uint32_t rank;
        std::uint32_t text;
    };

    /// `merges` as stored: "left right", parted at the first space behind the first byte; an entry without
    /// such a space, or with nothing behind it, can never apply and is passed over with a warning. Of equal
    /// pairs the first counts. The rank is the position in the list.
    MergeTable(const gguf::Strings& merges, Vocabulary& vocabulary);

    /// The number of a text, kNoText when it takes part in no merge.
    std::uint32_t find(std::string_view text) const;
    /// nullptr when the pair does not merge.
    const Joined* find(std::uint32_t left, std::uint32_t right) const;
    const std::string& text(std::uint32_t number) const { return *texts_[number]; }
    std::size_t size() const noexcept { return texts_.size(); }

  private:
    struct Pair {
        std::uint64_t key = kNoPair;  ///< left and right number
        Joined joined{};
    };
    static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

    std::uint32_t number_of(std::string text);
    std::size_t slot_of(std::uint64_t key) const;
    void insert(std::uint64_t key, Joined joined);

    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::vector<const std::string*> texts_;  ///< keys of numbers_
    std::vector<Pair> pairs_;                ///< open addressing, a power of two, at most half full
    int hash_shift_ = 0;                     ///< keeps as many high bits of a hash as pairs_ has slots
};

}  // namespace assay::tokenizer
