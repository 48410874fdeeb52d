// The tokenizer of RWKV "World" models: the longest token that the remaining bytes begin with, again and
// again. Texts in the vocabulary are escaped, since they may be any bytes.
#include <utility>

#include "tokenizer/byte_trie.h"
#include "tokenizer/families.h"

namespace assay::tokenizer {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// \t, \n, \r and \xHH are what they are in C; before any other character the backslash falls away.
std::string unescaped(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            bytes += text[i];
            continue;
        }
        const char escape = text[++i];
        const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (escape == 'x' && high >= 0 && low >= 0) {
            bytes += static_cast<char>(high * 16 + low);
            i += 2;
        } else {
            bytes += escape == 't' ? '\t' : escape == 'n' ? '\n' : escape == 'r' ? '\r' : escape;
        }
    }
    return bytes;
}

class Rwkv : public Tokenizer {
  public:
    explicit Rwkv(Vocabulary v) : Tokenizer(std::move(v)), tree_(tree_of(vocabulary())) {}

  private:
    class RwkvSession : public Session {
      public:
        explicit RwkvSession(const Rwkv& family) : family_(family) {}

        void encode(std::string_view fragment, bool, std::vector<Token>& out) override {
            while (!fragment.empty()) {
                const ByteTrie::Match match = family_.tree_.longest_prefix(fragment);
                out.push_back(match.n_bytes > 0 ? static_cast<Token>(match.value) : family_.unknown());
                fragment.remove_prefix(match.n_bytes > 0 ? match.n_bytes : 1);
            }
        }

      private:
        const Rwkv& family_;
    };

    std::unique_ptr<Session> start() const override { return std::make_unique<RwkvSession>(*this); }

    std::string spelled(Token token) const override { return unescaped(vocabulary().text(token)); }

    static ByteTrie tree_of(const Vocabulary& vocabulary) {
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < vocabulary.size(); ++i)
            texts.push_back(unescaped(vocabulary.text(static_cast<Token>(i))));
        std::vector<ByteTrie::Key> keys;
        for (const std::string& text : texts) keys.push_back({text, static_cast<std::uint32_t>(keys.size())});
        return ByteTrie(std::move(keys));
    }

    ByteTrie tree_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_rwkv(const gguf::Metadata& metadata) {
    VocabularyDefaults defaults;
    defaults.framing = Framing::None;
    return std::make_unique<Rwkv>(Vocabulary(metadata, defaults));
}

}  // namespace assay::tokenizer
