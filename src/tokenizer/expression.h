// Regular expressions over text reduced to one byte per code point.
//
// Pre-tokenizers ask of a character beyond ASCII only which general category it has, whether it is white
// space, and whether it is in a few listed ranges. So a text is first reduced: ASCII stays, any other code
// point becomes one byte for what is asked of it. The expression then runs as an 8-bit PCRE2 pattern with
// bitmap classes: the same meaning on every Unicode version of PCRE2, and fast. llama.cpp matches on a
// reduced text too, which is where the simplifications below come from.
//
// Notation: PCRE2, with \p{L} \p{N} \p{P} \p{S} \p{M} (categories), \p{L8} (letters beyond ASCII), and inside
// [...] \x{H} and \x{H}-\x{H} for characters and ranges beyond ASCII. White space beyond ASCII behaves as
// \x0B. A code point in a listed range leaves its category (it matches the class that lists it, and negated
// classes), so ranges listed in one expression must not overlap unless the lists are equal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace assay::tokenizer {

/// Bytes that stand for code points beyond ASCII.
enum class Reduced : unsigned char {
    Space = 0x0B,
    Letter = 0x80,
    Number = 0x81,
    Punctuation = 0x82,
    Symbol = 0x83,
    Mark = 0x84,
    Other = 0x85,
    FirstListed = 0x90,  ///< + index of the list
};

/// One byte per code point of `clean` text (see append_clean), categories only.
void append_reduced(std::string& out, std::string_view clean);

class Expression {
  public:
    /// Throws Error{Internal} when the pattern is not valid: patterns are ours, not the user's.
    explicit Expression(std::string_view pattern);
    ~Expression();
    Expression(Expression&&) noexcept;

    /// True when the pattern lists characters beyond ASCII, so that it needs its own reduction.
    bool lists_characters() const noexcept { return !lists_.empty(); }
    /// As append_reduced, with this expression's listed characters.
    void append_reduced_listed(std::string& out, std::string_view clean) const;

    /// What one thread needs to match; any number of expressions can share it.
    class Workspace {
      public:
        Workspace();
        ~Workspace();
        Workspace(const Workspace&) = delete;
        Workspace& operator=(const Workspace&) = delete;

      private:
        friend class Expression;
        struct Handles;
        std::unique_ptr<Handles> handles_;
    };

    struct Match {
        std::size_t begin;
        std::size_t end;
    };
    /// The leftmost match of `reduced` that begins at or after `from`; nothing outside `reduced` is looked
    /// at. False when there is none. Throws Error{Internal} when PCRE2 gives up.
    bool find(std::string_view reduced, std::size_t from, Workspace& workspace, Match& match) const;

  private:
    struct Range {
        char32_t first;
        char32_t last;
        bool operator==(const Range&) const = default;
    };
    using Ranges = std::vector<Range>;  ///< sorted, disjoint
    struct Compiled;
    class Translator;

    char reduce_listed(char32_t code_point) const noexcept;

    std::string pattern_;  ///< in PCRE2's own notation
    std::vector<Ranges> lists_;
    std::unique_ptr<Compiled> compiled_;
};

}  // namespace assay::tokenizer
