// SentencePiece-like merging: of all neighbours whose joined text is a token, the pair with the highest score
// goes first. Characters that end up outside every token are spelled byte by byte.
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "core/error.h"
#include "tokenizer/families.h"
#include "tokenizer/merge.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_breaks.h"
#include "tokenizer/word_cache.h"

namespace assay::tokenizer {
namespace {

constexpr std::uint32_t kUnknownText = 0xFFFFFFFF;

/// Smaller for higher scores, equal for equal ones: the order of the floats' bits, turned round.
std::uint32_t priority_of(float score) {
    const float positive_zero = score + 0.0f;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &positive_zero, sizeof(bits));
    const std::uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return ~ascending;
}

class Spm : public Tokenizer {
  public:
    explicit Spm(Vocabulary v) : Tokenizer(std::move(v)) {
        const Vocabulary& tokens = vocabulary();
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const auto id = static_cast<Token>(i);
            if (std::isnan(tokens.score(id)))
                throw_error(ErrorKind::BadFile, tokens.where(), "the score of token {} is not a number", i);
            breaks_.learn(tokens.text(id));
        }
        for (std::size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
            byte_tokens_[byte] = tokens.find_byte(static_cast<std::uint8_t>(byte));
            if (byte_tokens_[byte] == kNoToken)
                byte_tokens_[byte] = tokens.find(std::string(1, static_cast<char>(byte)));
        }
    }

  private:
    class SpmSession : public Session {
      public:
        explicit SpmSession(const Spm& spm) : spm_(spm) {}

        void encode(std::string_view fragment, bool at_start, std::vector<Token>& out) override {
            marked_.clear();
            if (at_start && spm_.vocabulary().add_space_prefix()) marked_.append(kSpaceMark);
            append_marked(marked_, fragment);
            spm_.breaks_.for_each(marked_, [&](std::string_view part) {
                cache_.append(part, out, [this](std::string_view word, std::vector<Token>& ids) {
                    spm_.merge(word, chain_, ids);
                });
            });
        }

      private:
        const Spm& spm_;
        std::string marked_;
        MergeChain chain_;
        WordCache cache_;
    };

    std::unique_ptr<Session> start() const override { return std::make_unique<SpmSession>(*this); }

    std::uint32_t find(std::string_view text) const {
        if (text.size() > vocabulary().longest_text_bytes()) return kUnknownText;
        const Token id = vocabulary().find(text);
        return id == kNoToken ? kUnknownText : static_cast<std::uint32_t>(id);
    }

    void merge(std::string_view word, MergeChain& chain, std::vector<Token>& out) const {
        chain.clear();
        for (std::size_t i = 0; i < word.size();) {
            const std::size_t n = character_length(word, i);
            chain.add(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(n), find(word.substr(i, n)));
            i += n;
        }
        chain.run([&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
            const std::uint32_t id = find(word.substr(left.begin_byte, left.n_bytes + right.n_bytes));
            if (id == kUnknownText) return std::nullopt;
            return Merge{priority_of(vocabulary().score(static_cast<Token>(id))), id};
        });
        chain.for_each([&](const Symbol& symbol) {
            if (symbol.id != kUnknownText)
                out.push_back(static_cast<Token>(symbol.id));
            else
                spell(word.substr(symbol.begin_byte, symbol.n_bytes), out);
        });
    }

    void spell(std::string_view bytes, std::vector<Token>& out) const {
        for (const char c : bytes) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte_tokens_[byte] == kNoToken)
                throw_error(ErrorKind::BadFile, vocabulary().where(),
                            "the vocabulary has no token for byte 0x{:02X}, which the text contains", byte);
            out.push_back(byte_tokens_[byte]);
        }
    }

    std::array<Token, 256> byte_tokens_{};
    WordBreaks breaks_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_spm(const gguf::Metadata& metadata) {
    VocabularyDefaults defaults;
    defaults.ids.bos = 1;
    defaults.ids.eos = 2;
    defaults.ids.unknown = 0;
    defaults.add_bos = true;
    defaults.add_space_prefix = true;
    return std::make_unique<Spm>(Vocabulary(metadata, defaults));
}

}  // namespace assay::tokenizer
