#include "tokenizer/tokenizer.h"

#include <limits>
#include <utility>

#include "core/error.h"
#include "tokenizer/families.h"

namespace assay::tokenizer {
namespace {

struct Family {
    std::string_view name;
    std::unique_ptr<Tokenizer> (*make)(const gguf::Metadata& metadata);
};

constexpr Family kFamilies[]{
    {"llama", make_spm},
    {"gpt2", make_bpe},
    {"gemma4", make_gemma4},
    {"whitespace", make_whitespace},
    {"hybriddna", make_hybrid_dna},
    {"bert", make_word_piece},
    {"t5", make_unigram},
    {"rwkv", make_rwkv},
    {"plamo2", make_plamo2},
    {"plamo3", make_plamo3},
};

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)),
      all_specials_(vocabulary_, true),
      user_defined_(vocabulary_, false) {}

Token Tokenizer::required(Token id, std::string_view role) const {
    if (id == kNoToken)
        throw_error(ErrorKind::BadFile, vocabulary_.where(),
                    "the metadata asks for a {} token but names none inside the vocabulary", role);
    return id;
}

Token Tokenizer::unknown() const {
    if (vocabulary_.ids().unknown == kNoToken)
        throw_error(ErrorKind::BadFile, vocabulary_.where(),
                    "the vocabulary cannot spell all of the text and names no token for what is unknown");
    return vocabulary_.ids().unknown;
}

std::vector<Token> Tokenizer::encode(std::string_view text, Encoding how) const {
    // Positions are 32 bits wide, and marked spaces take three bytes.
    if (text.size() > std::numeric_limits<std::uint32_t>::max() / 3)
        throw_error(ErrorKind::Unsupported, "text", "{} bytes are more than can be tokenized at once",
                    text.size());
    std::vector<Token> ids;
    if (how.add_special && vocabulary_.add_bos()) ids.push_back(required(vocabulary_.ids().bos, "BOS"));
    const std::unique_ptr<Session> session = start();
    bool at_start = true;
    for (const Fragment& fragment : (how.parse_special ? all_specials_ : user_defined_).partition(text)) {
        if (fragment.token != kNoToken)
            ids.push_back(fragment.token);
        else
            session->encode(fragment.text, at_start, ids);
        at_start = fragment.token != kNoToken;
    }
    if (how.add_special && vocabulary_.add_eos()) ids.push_back(required(vocabulary_.ids().eos, "EOS"));
    if (how.add_special && vocabulary_.add_separator())
        ids.push_back(required(vocabulary_.ids().separator, "separator"));
    return ids;
}

std::unique_ptr<Tokenizer> make_tokenizer(const gguf::Metadata& metadata) {
    const std::string_view model = metadata.get_string("tokenizer.ggml.model");
    if (model == "none" || model == "no_vocab")
        throw_error(ErrorKind::Unsupported, metadata.where(),
                    "the model comes without a tokenizer (tokenizer.ggml.model is \"{}\")", model);
    std::string known;
    for (const Family& family : kFamilies) {
        if (family.name == model) return family.make(metadata);
        known.append(known.empty() ? "" : " ").append(family.name);
    }
    throw_error(ErrorKind::Unsupported, metadata.where(), "tokenizer.ggml.model is \"{}\"; known are: {}",
                model, known);
}

}  // namespace assay::tokenizer
