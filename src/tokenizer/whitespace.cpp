// Byte-pair merging of what stands between white space, which itself leaves no token; lower case if wanted.
#include <utility>

#include "tokenizer/bpe.h"
#include "tokenizer/characters.h"
#include "tokenizer/families.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

class WhitespaceSession : public Tokenizer::Session {
  public:
    WhitespaceSession(bool lower_case, std::unique_ptr<Session> bpe)
        : lower_case_(lower_case), bpe_(std::move(bpe)) {}

    void encode(std::string_view fragment, bool at_start, std::vector<Token>& out) override {
        const auto finish_segment = [&] {
            if (!segment_.empty()) bpe_->encode(segment_, at_start, out);
            segment_.clear();
        };
        for (std::size_t i = 0; i < fragment.size();) {
            const Decoded decoded = decode_utf8(fragment, i);
            i += decoded.n_bytes;
            if (is_white_space(decoded.code_point))
                finish_segment();
            else
                append_utf8(segment_, lower_case_ ? lower_case(decoded.code_point) : decoded.code_point);
        }
        finish_segment();
    }

  private:
    bool lower_case_;
    std::unique_ptr<Session> bpe_;
    std::string segment_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_whitespace(const gguf::Metadata& metadata) {
    const bool by_default = metadata.find_string("tokenizer.ggml.pre") != "whitespace";
    const bool lower_case = metadata.find_bool("tokenizer.ggml.normalizer.lowercase").value_or(by_default);
    return make_wrapped_bpe(metadata, [=](const Vocabulary&, std::unique_ptr<Tokenizer::Session> bpe) {
        return std::make_unique<WhitespaceSession>(lower_case, std::move(bpe));
    });
}

}  // namespace assay::tokenizer
