// Unigram language model (Kudo 2018): every token has a logarithm of a probability, and the text is cut so
// that their sum is the largest (Viterbi). A character that no token covers alone may be an unknown one,
// which costs more than any token; unknown ones in a row are one. The text is normalised first.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "tokenizer/byte_trie.h"
#include "tokenizer/character_map.h"
#include "tokenizer/families.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

/// How far the unknown token's score lies below that of the worst token (SentencePiece).
constexpr float kUnknownPenalty = 10.0f;

ByteTrie tree_of_tokens(const Vocabulary& vocabulary, Attributes any_of) {
    std::vector<ByteTrie::Key> keys;
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
        const auto id = static_cast<Token>(i);
        if ((vocabulary.attributes(id) & any_of) != 0)
            keys.push_back({vocabulary.text(id), static_cast<std::uint32_t>(i)});
    }
    return ByteTrie(std::move(keys));
}

ByteTrie tree_of_rules(const std::vector<CharacterRule>& rules) {
    std::vector<ByteTrie::Key> keys;
    for (const CharacterRule& rule : rules)
        keys.push_back({rule.from, static_cast<std::uint32_t>(keys.size())});
    return ByteTrie(std::move(keys));
}

/// Replaces characters by the file's map, and spaces by U+2581.
class Normaliser {
  public:
    Normaliser(const gguf::Metadata& metadata, const Vocabulary& vocabulary)
        : rules_(read_character_map(metadata)),
          rule_tree_(tree_of_rules(rules_)),
          user_defined_(tree_of_tokens(vocabulary, kUserDefined)),
          begin_with_space_(vocabulary.add_space_prefix()),
          single_spaces_(metadata.find_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(false)) {}

    std::string run(std::string_view text) const {
        std::string normalised;
        bool in_word = false;
        bool begun = false;
        const auto put = [&](std::string_view piece) {
            for (const char c : piece) {
                if (c == ' ') {
                    in_word = false;
                    if (!single_spaces_) normalised += kSpaceMark;
                    continue;
                }
                if (!in_word && (single_spaces_ || (begin_with_space_ && !begun))) {
                    normalised += kSpaceMark;
                    begun = true;
                }
                in_word = true;
                normalised += c;
            }
        };
        while (!text.empty()) text.remove_prefix(put_first(text, put));
        return normalised;
    }

  private:
    /// Puts what the beginning of `text` becomes; returns the bytes that it took.
    template <typename Put> std::size_t put_first(std::string_view text, Put& put) const {
        if (const auto match = user_defined_.longest_prefix(text); match.n_bytes > 0) {
            put(text.substr(0, match.n_bytes));
            return match.n_bytes;
        }
        if (const auto match = rule_tree_.longest_prefix(text); match.n_bytes > 0) {
            put(rules_[match.value].to);
            return match.n_bytes;
        }
        const Decoded decoded = decode_utf8(text, 0);
        put(decoded.valid ? text.substr(0, decoded.n_bytes) : "\xEF\xBF\xBD");
        return decoded.n_bytes;
    }

    std::vector<CharacterRule> rules_;
    ByteTrie rule_tree_;  ///< to positions in rules_
    ByteTrie user_defined_;
    bool begin_with_space_;
    bool single_spaces_;
};

class Unigram : public Tokenizer {
  public:
    Unigram(Vocabulary v, const gguf::Metadata& metadata)
        : Tokenizer(std::move(v)),
          normaliser_(metadata, vocabulary()),
          tree_(tree_of_tokens(vocabulary(), kNormal | kUserDefined | kUnused)),
          unknown_score_(score_of_unknown()) {}

  private:
    /// The best way to cut the text before some byte ends with `token`, from `begin` on.
    struct Best {
        double score = -std::numeric_limits<double>::infinity();
        std::uint32_t begin = 0;
        Token token = kNoToken;  ///< when it is an unknown character
    };

    class UnigramSession : public Session {
      public:
        explicit UnigramSession(const Unigram& family) : family_(family) {}

        void encode(std::string_view fragment, bool, std::vector<Token>& out) override {
            const std::string text = family_.normaliser_.run(fragment);
            if (text.size() >= std::numeric_limits<std::uint32_t>::max())
                throw_error(ErrorKind::Unsupported, "text",
                            "{} bytes, once normalised, are more than can be tokenized at once", text.size());
            family_.find_best(text, best_);
            const std::size_t before = out.size();
            for (std::size_t end = text.size(); end > 0; end = best_[end].begin) {
                const Token token = best_[end].token == kNoToken ? family_.unknown() : best_[end].token;
                const bool repeated = out.size() > before && out.back() == token;
                if (!repeated || token != family_.vocabulary().ids().unknown) out.push_back(token);
            }
            std::reverse(out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
        }

      private:
        const Unigram& family_;
        std::vector<Best> best_;
    };

    std::unique_ptr<Session> start() const override { return std::make_unique<UnigramSession>(*this); }

    float score_of_unknown() const {
        float lowest = std::numeric_limits<float>::max();
        for (std::size_t i = 0; i < vocabulary().size(); ++i) {
            const auto id = static_cast<Token>(i);
            if (!std::isfinite(vocabulary().score(id)))
                throw_error(ErrorKind::BadFile, vocabulary().where(),
                            "the score of token {} is not a finite number", i);
            if ((vocabulary().attributes(id) & kNormal) != 0)
                lowest = std::min(lowest, vocabulary().score(id));
        }
        return lowest - kUnknownPenalty;
    }

    /// User-defined tokens come at no cost.
    double score_of(Token id) const {
        return (vocabulary().attributes(id) & kUserDefined) != 0 ? 0.0 : vocabulary().score(id);
    }

    /// Every character's first byte is reached, if only by an unknown one, so the end of the text is too.
    void find_best(std::string_view text, std::vector<Best>& best) const {
        best.assign(text.size() + 1, Best{});
        best[0].score = 0.0;
        for (std::size_t i = 0; i < text.size();) {
            const std::size_t character = character_length(text, i);
            bool covered = false;
            const auto offer = [&](std::size_t n_bytes, double score, Token token) {
                Best& there = best[i + n_bytes];
                if (best[i].score + score > there.score)
                    there = {best[i].score + score, static_cast<std::uint32_t>(i), token};
            };
            tree_.for_each_prefix(text.substr(i), [&](std::size_t n_bytes, std::uint32_t value) {
                const auto id = static_cast<Token>(value);
                covered |= n_bytes == character;
                offer(n_bytes, score_of(id), id);
            });
            if (!covered) offer(character, unknown_score_, kNoToken);
            i += character;
        }
    }

    Normaliser normaliser_;
    ByteTrie tree_;
    float unknown_score_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_unigram(const gguf::Metadata& metadata) {
    VocabularyDefaults defaults;
    defaults.ids.eos = 1;
    defaults.ids.unknown = 2;
    defaults.add_eos = true;
    return std::make_unique<Unigram>(Vocabulary(metadata, defaults), metadata);
}

}  // namespace assay::tokenizer
