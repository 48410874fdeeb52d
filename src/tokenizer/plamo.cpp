// The tokenizers of PLaMo 2 and 3: every token has a cost, and the text is cut so that their sum is the
// smallest. A character may also be spelled in byte tokens, which costs more than most tokens.
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "tokenizer/byte_trie.h"
#include "tokenizer/families.h"
#include "tokenizer/plamo_segments.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::int64_t kSpelledCost = 10'000'000;  ///< of one character
constexpr std::int64_t kNoCost = std::numeric_limits<std::int64_t>::max();

/// Ten thousandths of a negated score; kNoCost when the token is never used.
std::int64_t cost_of(float score) {
    const double cost = -std::round(static_cast<double>(score) * 1e4);
    const bool usable = cost < 2 * kSpelledCost && cost >= std::numeric_limits<std::int32_t>::min();
    return usable ? static_cast<std::int64_t>(cost) : kNoCost;
}

enum class Generation { Plamo2, Plamo3 };

class Plamo : public Tokenizer {
  public:
    Plamo(Vocabulary v, Generation generation)
        : Tokenizer(std::move(v)), generation_(generation), tree_(tree_of(vocabulary())) {
        const Vocabulary& tokens = vocabulary();
        for (std::size_t i = 0; i < tokens.size(); ++i)
            costs_.push_back(cost_of(tokens.score(static_cast<Token>(i))));
        for (std::size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
            const Token id = tokens.find_byte(static_cast<std::uint8_t>(byte));
            if (id == kNoToken || (tokens.attributes(id) & kByte) == 0)
                throw_error(ErrorKind::BadFile, tokens.where(), "the vocabulary has no byte token <0x{:02X}>",
                            byte);
            byte_tokens_[byte] = id;
        }
    }

  private:
    /// The cheapest way to cut the text from some byte on begins with `token`.
    struct Best {
        std::int64_t cost = 0;
        std::uint32_t n_bytes = 0;
        Token token = kNoToken;  ///< when the first character is spelled
    };

    class PlamoSession : public Session {
      public:
        explicit PlamoSession(const Plamo& family) : family_(family) {}

        void encode(std::string_view fragment, bool, std::vector<Token>& out) override {
            clean_.clear();
            append_clean(clean_, fragment);
            if (family_.generation_ == Generation::Plamo3) {
                for (const std::string_view segment : plamo_segments(clean_)) encode_segment(segment, out);
                return;
            }
            std::string_view text = clean_;
            if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark)
                text.remove_prefix(kByteOrderMark.size());
            encode_segment(text, out);
        }

      private:
        void encode_segment(std::string_view text, std::vector<Token>& out) {
            family_.find_best(text, best_);
            for (std::size_t i = 0; i < text.size(); i += best_[i].n_bytes) {
                if (best_[i].token != kNoToken) {
                    out.push_back(best_[i].token);
                    continue;
                }
                for (const char c : text.substr(i, best_[i].n_bytes))
                    out.push_back(family_.byte_tokens_[static_cast<unsigned char>(c)]);
            }
        }

        const Plamo& family_;
        std::string clean_;
        std::vector<Best> best_;  ///< by byte, meant at the first ones of characters
    };

    std::unique_ptr<Session> start() const override { return std::make_unique<PlamoSession>(*this); }

    /// Only texts of whole characters, so that a token that begins with a character ends with one.
    static ByteTrie tree_of(const Vocabulary& vocabulary) {
        std::vector<ByteTrie::Key> keys;
        std::string clean;
        for (std::size_t i = 0; i < vocabulary.size(); ++i) {
            const auto id = static_cast<Token>(i);
            clean.clear();
            append_clean(clean, vocabulary.text(id));
            if ((vocabulary.attributes(id) & kByte) == 0 && clean == vocabulary.text(id))
                keys.push_back({vocabulary.text(id), static_cast<std::uint32_t>(i)});
        }
        return ByteTrie(std::move(keys));
    }

    /// Of equally cheap ways the one with the longer token, and spelling last.
    void find_best(std::string_view text, std::vector<Best>& best) const {
        best.assign(text.size() + 1, Best{});
        for (std::size_t i = text.size(); i-- > 0;) {
            if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;  // inside a character
            Best& here = best[i];
            here.cost = kNoCost;
            tree_.for_each_prefix(text.substr(i), [&](std::size_t n_bytes, std::uint32_t value) {
                if (costs_[value] == kNoCost) return;
                const std::int64_t cost = best[i + n_bytes].cost + costs_[value];
                if (cost <= here.cost)
                    here = {cost, static_cast<std::uint32_t>(n_bytes), static_cast<Token>(value)};
            });
            const std::size_t character = character_length(text, i);
            const std::int64_t spelled = best[i + character].cost + kSpelledCost;
            if (spelled < here.cost) here = {spelled, static_cast<std::uint32_t>(character), kNoToken};
        }
    }

    Generation generation_;
    ByteTrie tree_;
    std::vector<std::int64_t> costs_;  ///< by token
    std::array<Token, 256> byte_tokens_{};
};

std::unique_ptr<Tokenizer> make(const gguf::Metadata& metadata, Generation generation) {
    VocabularyDefaults defaults;
    defaults.ids.bos = 1;
    defaults.ids.eos = 2;
    defaults.ids.unknown = 0;
    return std::make_unique<Plamo>(Vocabulary(metadata, defaults), generation);
}

}  // namespace

std::unique_ptr<Tokenizer> make_plamo2(const gguf::Metadata& metadata) {
    return make(metadata, Generation::Plamo2);
}

std::unique_ptr<Tokenizer> make_plamo3(const gguf::Metadata& metadata) {
    return make(metadata, Generation::Plamo3);
}

}  // namespace assay::tokenizer
