// Finds the special tokens inside a text and cuts it there, before any family sees it.
//
// The rule (llama.cpp): take the candidates from the longest text to the shortest; each claims its leftmost
// occurrences in what is still raw. Done literally that reads the text once per candidate, and a vocabulary
// may have thousands. Here one pass with an Aho-Corasick automaton of the reversed texts, from the end of the
// text to its start, gives the longest candidate that begins at each byte; then the candidates claim their
// places in the order of the rule, and one whose place is taken steps down to the next shorter candidate that
// begins at the same byte. Linear in the text, whatever the number of candidates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/byte_trie.h"
#include "tokenizer/vocabulary.h"

namespace assay::tokenizer {

/// Some bytes of a text.
struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// A special token or raw text (token == kNoToken), with the bytes of the searched text that it takes.
struct Fragment {
    std::string_view text;
    Token token = kNoToken;
};

/// Whether a token stands for something that only who formats a text may say: control and unknown tokens, and
/// those written <|like this|>, which some files call user-defined.
bool is_mark(const Vocabulary& vocabulary, Token token);

class SpecialSearch {
  public:
    /// Candidates are control, user-defined and unknown tokens; without `parse_special` only user-defined
    /// ones that are neither control nor unknown. Of several ids with one text only the one that
    /// Vocabulary::find gives takes part.
    SpecialSearch(const Vocabulary& vocabulary, bool parse_special);

    /// The pieces of `text` in order, none of them empty raw text. White space that a special token strips is
    /// in no piece. Throws nothing; `text` must be shorter than 2^32 bytes. In the bytes of `plain` nothing
    /// counts as a mark (is_mark): there only other user-defined tokens are found.
    std::vector<Fragment> partition(std::string_view text, std::span<const Range> plain = {}) const;

  private:
    static constexpr std::uint32_t kNone = ByteTrie::kNone;
    /// Order of candidates: index in candidates_, longest text first, then by id. The value of a node in
    /// tree_ is the rank of the candidate that ends (reversed: begins) there.
    using Rank = std::uint32_t;

    struct Candidate {
        std::string text;
        Token token;
        Attributes attributes;
        bool mark;
    };
    struct Links {
        std::uint32_t fail = 0;
        std::uint32_t shorter = kNone;  ///< node of the next shorter candidate beginning at the same byte
    };
    struct Place {
        std::uint32_t begin_byte;
        std::uint32_t node;
    };
    struct Claim {
        std::uint32_t begin_byte;
        Rank rank;
    };
    class Selection;

    static std::vector<Candidate> collect(const Vocabulary& vocabulary, bool parse_special);
    static ByteTrie tree_of_reversed(const std::vector<Candidate>& candidates);
    std::vector<Links> link() const;
    std::uint32_t next_node(std::uint32_t node, std::uint8_t byte) const;
    std::vector<Place> find_places(std::string_view text) const;

    std::vector<Candidate> candidates_;
    ByteTrie tree_;
    std::vector<Links> links_;  ///< by node
};

}  // namespace assay::tokenizer
