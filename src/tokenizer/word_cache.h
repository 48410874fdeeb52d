// Remembers the tokens of words met before. Text repeats its words, and finding a word again is many times
// cheaper than merging it again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "tokenizer/vocabulary.h"

namespace assay::tokenizer {

/// A table of fixed size; a word may push out another. Longer words and words of many tokens are not kept.
/// Belongs to one thread.
class WordCache {
  public:
    WordCache() : slots_(kSlots) {}

    /// Appends the tokens of `word` to `out`, calling encode(word, out) when they are not known yet.
    template <typename Encode> void append(std::string_view word, std::vector<Token>& out, Encode encode) {
        if (word.empty() || word.size() > kMaxBytes) {
            encode(word, out);
            return;
        }
        Slot& slot = slots_[std::hash<std::string_view>{}(word) % kSlots];
        if (slot.n_bytes == word.size() && std::memcmp(slot.text, word.data(), word.size()) == 0) {
            out.insert(out.end(), slot.tokens, slot.tokens + slot.n_tokens);
            return;
        }
        const std::size_t before = out.size();
        encode(word, out);
        const std::size_t n_tokens = out.size() - before;
        if (n_tokens > kMaxTokens) return;
        slot.n_bytes = static_cast<std::uint8_t>(word.size());
        slot.n_tokens = static_cast<std::uint8_t>(n_tokens);
        std::memcpy(slot.text, word.data(), word.size());
        if (n_tokens > 0) std::memcpy(slot.tokens, out.data() + before, n_tokens * sizeof(Token));
    }

  private:
    static constexpr std::size_t kSlots = 1 << 14;
    static constexpr std::size_t kMaxBytes = 30;
    static constexpr std::size_t kMaxTokens = 8;
    struct Slot {
        std::uint8_t n_bytes = 0;  ///< 0: empty
        std::uint8_t n_tokens = 0;
        char text[kMaxBytes];
        Token tokens[kMaxTokens];
    };

    std::vector<Slot> slots_;
};

}  // namespace assay::tokenizer
