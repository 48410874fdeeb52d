// Byte-pair merging (Sennrich et al. 2016) of the words a pre-tokenizer cuts: of all neighbours that a merge
// names, the one that is first in the list of merges goes first.
#include "tokenizer/bpe.h"

#include <array>
#include <fmt/ranges.h>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/families.h"
#include "tokenizer/merge.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/splitter.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_breaks.h"
#include "tokenizer/word_cache.h"

namespace assay::tokenizer {
namespace {

/// The tokens of each symbol that merging can leave, in one array.
class SpellingTable {
  public:
    void add(const std::vector<Token>& tokens) {
        tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
        ends_.push_back(tokens_.size());
    }
    void append(std::uint32_t index, std::vector<Token>& out) const {
        const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
        out.insert(out.end(), tokens_.begin() + static_cast<std::ptrdiff_t>(begin),
                   tokens_.begin() + static_cast<std::ptrdiff_t>(ends_[index]));
    }

  private:
    std::vector<Token> tokens_;
    std::vector<std::size_t> ends_;
};

class Bpe : public Tokenizer {
  public:
    Bpe(Vocabulary v, const PreTokenizer& pre, MergeTable merges, WrapSession wrap)
        : Tokenizer(std::move(v)),
          wrap_(std::move(wrap)),
          flags_(pre.flags),
          splitter_(pre),
          merges_(std::move(merges)),
          alphabet_(byte_alphabet()) {
        for (std::uint32_t i = 0; i < merges_.size(); ++i) {
            spellings_.add(spell(merges_.text(i)));
            breaks_.learn(merges_.text(i));
        }
        for (std::size_t byte = 0; byte < alphabet_.size(); ++byte) {
            byte_numbers_[byte] = merges_.find(alphabet_[byte]);
            byte_spellings_.add(spell(alphabet_[byte]));
            byte_of_[alphabet_[byte]] = static_cast<char>(byte);
        }
    }

  private:
    class BpeSession : public Session {
      public:
        explicit BpeSession(const Bpe& bpe) : bpe_(bpe) {}

        void encode(std::string_view fragment, bool, std::vector<Token>& out) override {
            clean_.clear();
            if (bpe_.has(kMarkSpaces)) {
                marked_.clear();
                append_marked(marked_, fragment);
                append_clean(clean_, marked_);
            } else {
                append_clean(clean_, fragment);
            }
            std::size_t begin = 0;
            for (const std::uint32_t n_bytes : bpe_.splitter_.split(clean_, workspace_)) {
                encode_word(std::string_view(clean_).substr(begin, n_bytes), out);
                begin += n_bytes;
            }
        }

      private:
        void encode_word(std::string_view word, std::vector<Token>& out) {
            if (!bpe_.has(kPlainText)) {
                cache_.append(word, out, [this](std::string_view w, std::vector<Token>& ids) {
                    if (!bpe_.take_whole(w, ids)) bpe_.merge_bytes(w, chain_, ids);
                });
                return;
            }
            if (bpe_.take_whole(word, out)) return;
            bpe_.breaks_.for_each(word, [&](std::string_view part) {
                cache_.append(part, out, [this](std::string_view w, std::vector<Token>& ids) {
                    bpe_.merge_characters(w, chain_, ids);
                });
            });
        }

        const Bpe& bpe_;
        std::string marked_;
        std::string clean_;
        Splitter::Workspace workspace_;
        MergeChain chain_;
        WordCache cache_;
    };

    std::unique_ptr<Session> start() const override {
        auto session = std::make_unique<BpeSession>(*this);
        return wrap_ ? wrap_(vocabulary(), std::move(session)) : std::move(session);
    }

    std::string spelled(Token token) const override {
        if (has(kPlainText)) return Tokenizer::spelled(token);
        std::string bytes;
        const std::string& text = vocabulary().text(token);
        for (std::size_t i = 0; i < text.size();) {
            const std::string character = text.substr(i, character_length(text, i));
            const auto byte = byte_of_.find(character);
            bytes += byte == byte_of_.end() ? character : std::string(1, byte->second);
            i += character.size();
        }
        return bytes;
    }

    bool has(PreFlags flag) const { return (flags_ & flag) != 0; }

    /// Appends the token whose text is the whole word where the pre-tokenizer looks for one.
    bool take_whole(std::string_view word, std::vector<Token>& out) const {
        const bool wanted = has(kIgnoreMerges) ||
                            (has(kNewlineWords) && word.find_first_not_of('\n') == std::string_view::npos);
        if (!wanted || word.size() > vocabulary().longest_text_bytes()) return false;
        const Token id = vocabulary().find(has(kPlainText) ? std::string(word) : mapped(word));
        if (id != kNoToken) out.push_back(id);
        return id != kNoToken;
    }

    std::string mapped(std::string_view word) const {
        std::string text;
        for (const char c : word) text += alphabet_[static_cast<unsigned char>(c)];
        return text;
    }

    /// Symbols begin as bytes.
    void merge_bytes(std::string_view word, MergeChain& chain, std::vector<Token>& out) const {
        chain.clear();
        for (std::size_t i = 0; i < word.size(); ++i)
            chain.add(static_cast<std::uint32_t>(i), 1, byte_numbers_[static_cast<unsigned char>(word[i])]);
        run(chain);
        chain.for_each([&](const Symbol& symbol) {
            if (symbol.id != MergeTable::kNoText)
                spellings_.append(symbol.id, out);
            else
                byte_spellings_.append(static_cast<unsigned char>(word[symbol.begin_byte]), out);
        });
    }

    /// Symbols begin as characters.
    void merge_characters(std::string_view word, MergeChain& chain, std::vector<Token>& out) const {
        chain.clear();
        for (std::size_t i = 0; i < word.size();) {
            const std::size_t n = character_length(word, i);
            chain.add(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(n),
                      merges_.find(word.substr(i, n)));
            i += n;
        }
        run(chain);
        chain.for_each([&](const Symbol& symbol) {
            if (symbol.id != MergeTable::kNoText) {
                spellings_.append(symbol.id, out);
                return;
            }
            const std::vector<Token> tokens = spell(word.substr(symbol.begin_byte, symbol.n_bytes));
            out.insert(out.end(), tokens.begin(), tokens.end());
        });
    }

    void run(MergeChain& chain) const {
        chain.run([this](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
            const MergeTable::Joined* joined = merges_.find(left.id, right.id);
            if (joined == nullptr) return std::nullopt;
            return Merge{joined->rank, joined->text};
        });
    }

    /// The tokens of a symbol's text: its own, else one per byte of the text as the vocabulary writes it.
    /// Bytes without a token leave nothing, as in llama.cpp.
    std::vector<Token> spell(std::string_view text) const {
        const Token whole = vocabulary().find(text);
        if (whole != kNoToken) return {whole};
        std::vector<Token> tokens;
        for (const char c : text) {
            const Token id = has(kPlainText) ? vocabulary().find_byte(static_cast<std::uint8_t>(c))
                                             : vocabulary().find(std::string_view(&c, 1));
            if (id != kNoToken) tokens.push_back(id);
        }
        return tokens;
    }

    WrapSession wrap_;
    PreFlags flags_;
    Splitter splitter_;
    MergeTable merges_;
    std::array<std::string, 256> alphabet_;
    std::unordered_map<std::string, char> byte_of_;
    std::array<std::uint32_t, 256> byte_numbers_{};
    SpellingTable byte_spellings_;  ///< by byte
    SpellingTable spellings_;       ///< by number in merges_
    WordBreaks breaks_;             ///< for plain text
};

std::unique_ptr<Tokenizer> make(const gguf::Metadata& metadata, const PreTokenizer& pre, SpecialIds ids,
                                WrapSession wrap, std::string warning) {
    VocabularyDefaults defaults;
    defaults.ids = ids;
    defaults.add_bos = (pre.flags & kAddBos) != 0;
    if ((pre.flags & kAlwaysAddBos) != 0) defaults.framing = Framing::AlwaysBos;
    Vocabulary vocabulary(metadata, defaults);
    if (!warning.empty()) vocabulary.warn(std::move(warning));

    constexpr std::string_view kKey = "tokenizer.ggml.merges";
    const gguf::Strings none;
    const gguf::Strings* merges = metadata.find_strings(kKey);
    if (merges == nullptr && (pre.flags & kMergesOptional) == 0)
        throw_error(ErrorKind::BadFile, metadata.where(), "metadata key {} is missing", kKey);
    MergeTable table(merges == nullptr ? none : *merges, vocabulary);
    return std::make_unique<Bpe>(std::move(vocabulary), pre, std::move(table), std::move(wrap));
}

}  // namespace

std::unique_ptr<Tokenizer> make_wrapped_bpe(const gguf::Metadata& metadata, WrapSession wrap) {
    std::string_view name = metadata.find_string("tokenizer.ggml.pre").value_or("");
    std::string warning;
    if (name.empty()) {
        name = "default";
        warning = "tokenizer.ggml.pre is missing; words are cut by the default rules, which may be wrong";
    }
    const PreTokenizer* pre = find_pre_tokenizer(name);
    if (pre == nullptr)
        throw_error(ErrorKind::Unsupported, metadata.where(),
                    "tokenizer.ggml.pre is \"{}\", which is none of the {} known names; the nearest are: {}",
                    name, pre_tokenizer_names().size(), fmt::join(nearest_pre_tokenizers(name), " "));
    SpecialIds ids;
    ids.eos = 11;
    if ((pre->flags & kNoDefaultBos) == 0) ids.bos = 11;
    return make(metadata, *pre, ids, std::move(wrap), std::move(warning));
}

std::unique_ptr<Tokenizer> make_bpe(const gguf::Metadata& metadata) { return make_wrapped_bpe(metadata, {}); }

std::unique_ptr<Tokenizer> make_gemma4(const gguf::Metadata& metadata) {
    return make(metadata, *find_pre_tokenizer("gemma4"), {}, {}, {});
}

}  // namespace assay::tokenizer
