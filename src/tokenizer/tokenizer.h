// Text to token ids, as a model's metadata describes it. One family of algorithms per file (families.h); what
// they share (special tokens inside the text, BOS and EOS) is here.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/metadata.h"
#include "tokenizer/special_search.h"
#include "tokenizer/vocabulary.h"

namespace assay::tokenizer {

struct Encoding {
    bool add_special = true;     ///< BOS and EOS where the model wants them
    bool parse_special = false;  ///< texts of control tokens become these tokens
};

/// A token and the bytes of the text that it stands for. Where a family changes texts before it cuts them,
/// these are estimates; tokens that were added have none.
struct Placed {
    Token token = kNoToken;
    Range bytes;
};

class Tokenizer {
  public:
    virtual ~Tokenizer() = default;
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    /// The ids of the whole text, in time linear in it (n log n within one very long word). Bytes that are
    /// not UTF-8 are accepted. User-defined tokens are recognised whatever `how` says. Several threads may
    /// call it at once. Throws Error{BadFile} when BOS or EOS is to be added and the vocabulary names none,
    /// or when the vocabulary cannot spell a part of the text; Error{Unsupported} from 4 GiB of text on.
    std::vector<Token> encode(std::string_view text, Encoding how = {}) const;

    /// The same with the place of each token. With how.parse_special marks count but in the bytes of `plain`,
    /// which are rising and apart.
    std::vector<Placed> encode_placed(std::string_view text, Encoding how,
                                      std::span<const Range> plain = {}) const;

    /// The marks (is_mark) that stand in the text, in order.
    std::vector<Token> marks_in(std::string_view text) const;

    const Vocabulary& vocabulary() const noexcept { return vocabulary_; }

    /// One call of encode: what a family keeps from fragment to fragment.
    class Session {
      public:
        virtual ~Session() = default;
        /// Appends the ids of a stretch of text without special tokens. `at_start`: it is the first of the
        /// text or follows a special token.
        virtual void encode(std::string_view fragment, bool at_start, std::vector<Token>& out) = 0;
    };

  protected:
    explicit Tokenizer(Vocabulary vocabulary);
    virtual std::unique_ptr<Session> start() const = 0;

    /// The bytes that a token of raw text stands for, where a space may be in place of its mark.
    virtual std::string spelled(Token token) const;

    /// For what the vocabulary cannot spell. Throws Error{BadFile} when the model has none.
    Token unknown() const;

  private:
    /// The pieces of a text with special tokens around them.
    struct Framed {
        std::vector<Token> before, after;
        std::vector<Fragment> fragments;
    };
    Framed frame(std::string_view text, Encoding how, std::span<const Range> plain) const;
    /// Appends `ids`, the tokens of a fragment that begins at byte `begin`, with their places.
    void place(std::string_view fragment, std::size_t begin, bool at_start, std::span<const Token> ids,
               std::vector<Placed>& out) const;
    Token required(Token id, std::string_view role) const;

    Vocabulary vocabulary_;
    SpecialSearch all_specials_;
    SpecialSearch user_defined_;
};

/// The tokenizer that `tokenizer.ggml.model` asks for. Throws Error{BadFile} for contradictory metadata and
/// Error{Unsupported}, naming what is known, for another family or pre-tokenizer.
std::unique_ptr<Tokenizer> make_tokenizer(const gguf::Metadata& metadata);

}  // namespace assay::tokenizer
