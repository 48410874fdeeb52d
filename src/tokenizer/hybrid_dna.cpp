// Byte-pair merging of text, with stretches of nucleotides between <dna> and </dna> that go in sixes. A token
// for six nucleotides has U+E000 behind them in the vocabulary, which tells it from a word of the same text.
#include <array>
#include <utility>

#include "tokenizer/bpe.h"
#include "tokenizer/families.h"

namespace assay::tokenizer {
namespace {

constexpr std::string_view kOpening = "<dna>";
constexpr std::string_view kClosing = "</dna>";
constexpr std::string_view kNucleotidesMark = "\xEE\x80\x80";
constexpr std::size_t kGroup = 6;

struct DnaTokens {
    Token opening;
    Token closing;
    Token other;  ///< for a group that has no token
};

class DnaSession : public Tokenizer::Session {
  public:
    DnaSession(const Vocabulary& vocabulary, DnaTokens tokens, std::unique_ptr<Session> bpe)
        : vocabulary_(vocabulary), tokens_(tokens), bpe_(std::move(bpe)) {}

    /// A stretch that is not closed ends with the fragment.
    void encode(std::string_view fragment, bool at_start, std::vector<Token>& out) override {
        while (!fragment.empty()) {
            const std::string_view text = take_until(fragment, kOpening);
            if (!text.empty()) bpe_->encode(text, at_start, out);
            if (fragment.empty()) return;
            out.push_back(tokens_.opening);
            fragment.remove_prefix(kOpening.size());
            encode_groups(take_until(fragment, kClosing), out);
            if (fragment.empty()) return;
            out.push_back(tokens_.closing);
            fragment.remove_prefix(kClosing.size());
        }
    }

  private:
    /// What stands before `mark`, or all; `text` then begins with the mark, or is empty.
    static std::string_view take_until(std::string_view& text, std::string_view mark) {
        const std::string_view before = text.substr(0, text.find(mark));
        text.remove_prefix(before.size());
        return before;
    }

    /// The last group is filled up with A.
    void encode_groups(std::string_view nucleotides, std::vector<Token>& out) const {
        for (std::size_t i = 0; i < nucleotides.size(); i += kGroup) {
            std::string group(nucleotides.substr(i, kGroup));
            group.resize(kGroup, 'A');
            for (char& c : group)
                if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
            const Token id = vocabulary_.find(group.append(kNucleotidesMark));
            out.push_back(id == kNoToken ? tokens_.other : id);
        }
    }

    const Vocabulary& vocabulary_;
    DnaTokens tokens_;
    std::unique_ptr<Session> bpe_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_hybrid_dna(const gguf::Metadata& metadata) {
    return make_wrapped_bpe(
        metadata,
        [](const Vocabulary& vocabulary,
           std::unique_ptr<Tokenizer::Session> bpe) -> std::unique_ptr<Tokenizer::Session> {
            const DnaTokens tokens{vocabulary.find(kOpening), vocabulary.find(kClosing),
                                   vocabulary.find("<oov>")};
            if (tokens.opening == kNoToken || tokens.closing == kNoToken || tokens.other == kNoToken)
                return bpe;
            return std::make_unique<DnaSession>(vocabulary, tokens, std::move(bpe));
        });
}

}  // namespace assay::tokenizer
