// WordPiece (Schuster & Nakajima 2012, as BERT uses it): words are cut at white space and around signs; each
// is taken apart by the longest token that it begins with, again and again. A word that cannot be taken apart
// to its end is one unknown token. The vocabulary writes a beginning of a word with U+2581 before it.
#include <utility>

#include "tokenizer/byte_trie.h"
#include "tokenizer/characters.h"
#include "tokenizer/families.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace assay::tokenizer {
namespace {

struct Normalisation {
    bool lower_case;
    bool strip_accents;
};

/// Blocks that BERT's normaliser calls Chinese; one begins at 2B920, not 2B820, as there.
bool is_chinese(char32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) ||
           (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class WordPiece : public Tokenizer {
  public:
    WordPiece(Vocabulary v, Normalisation normalisation)
        : Tokenizer(std::move(v)), normalisation_(normalisation), tree_(tree_of(vocabulary())) {}

  private:
    class WordSession : public Session {
      public:
        explicit WordSession(const WordPiece& family) : family_(family) {}

        void encode(std::string_view fragment, bool, std::vector<Token>& out) override {
            word_ = kSpaceMark;
            for (std::size_t i = 0; i < fragment.size();) {
                const Decoded decoded = decode_utf8(fragment, i);
                i += decoded.n_bytes;
                add(decoded.code_point, out);
            }
            finish_word(out);
        }

      private:
        void add(char32_t c, std::vector<Token>& out) {
            if (family_.normalisation_.strip_accents) c = first_of_decomposition(c);
            if (is_white_space(c)) return finish_word(out);
            const Kind kind = kind_of(c);
            if (c == 0 || c == 0xFFFD || kind == Kind::Control) return;
            if (kind == Kind::Mark && family_.normalisation_.strip_accents) return;
            const bool alone =
                kind == Kind::Punctuation || (kind == Kind::Symbol && c < 0x7F) || is_chinese(c);
            if (alone) finish_word(out);
            append_utf8(word_, family_.normalisation_.lower_case ? lower_case(c) : c);
            if (alone) finish_word(out);
        }

        void finish_word(std::vector<Token>& out) {
            if (word_.size() > kSpaceMark.size())
                cache_.append(word_, out, [this](std::string_view word, std::vector<Token>& ids) {
                    family_.take_apart(word, ids);
                });
            word_.resize(kSpaceMark.size());
        }

        const WordPiece& family_;
        std::string word_;  ///< begins with the mark
        WordCache cache_;
    };

    std::unique_ptr<Session> start() const override { return std::make_unique<WordSession>(*this); }

    static ByteTrie tree_of(const Vocabulary& vocabulary) {
        std::vector<ByteTrie::Key> keys;
        for (std::size_t i = 0; i < vocabulary.size(); ++i)
            keys.push_back({vocabulary.text(static_cast<Token>(i)), static_cast<std::uint32_t>(i)});
        return ByteTrie(std::move(keys));
    }

    void take_apart(std::string_view word, std::vector<Token>& out) const {
        const std::size_t before = out.size();
        while (!word.empty()) {
            const ByteTrie::Match match = tree_.longest_prefix(word);
            if (match.n_bytes == 0) {
                out.resize(before);
                out.push_back(unknown());
                return;
            }
            out.push_back(static_cast<Token>(match.value));
            word.remove_prefix(match.n_bytes);
        }
    }

    Normalisation normalisation_;
    ByteTrie tree_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_word_piece(const gguf::Metadata& metadata) {
    VocabularyDefaults defaults;
    defaults.ids.bos = 101;
    defaults.ids.unknown = 100;
    defaults.ids.separator = 102;
    defaults.framing = Framing::BosAndSeparator;
    Normalisation normalisation{};
    normalisation.lower_case = metadata.find_bool("tokenizer.ggml.normalizer.lowercase").value_or(true);
    normalisation.strip_accents =
        metadata.find_bool("tokenizer.ggml.normalizer.strip_accents").value_or(normalisation.lower_case);
    return std::make_unique<WordPiece>(Vocabulary(metadata, defaults), normalisation);
}

}  // namespace assay::tokenizer
