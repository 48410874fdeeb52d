#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "core/error.h"
#include "tokenizer/families.h"
#include "tokenizer/utf8.h"

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

Tokenizer::Framed Tokenizer::frame(std::string_view text, Encoding how, std::span<const Range> plain) const {
    // Positions are 32 bits wide, and marked spaces take three bytes.
    if (text.size() > std::numeric_limits<std::uint32_t>::max() / 3)
        throw_error(ErrorKind::Unsupported, "text", "{} bytes are more than can be tokenized at once",
                    text.size());
    Framed framed;
    framed.fragments = (how.parse_special ? all_specials_ : user_defined_).partition(text, plain);
    if (!how.add_special) return framed;
    const SpecialIds& ids = vocabulary_.ids();
    if (vocabulary_.add_bos()) framed.before.push_back(required(ids.bos, "BOS"));
    if (vocabulary_.add_eos()) framed.after.push_back(required(ids.eos, "EOS"));
    if (vocabulary_.add_separator()) framed.after.push_back(required(ids.separator, "separator"));
    return framed;
}

std::vector<Token> Tokenizer::encode(std::string_view text, Encoding how) const {
    const Framed framed = frame(text, how, {});
    std::vector<Token> ids = framed.before;
    const std::unique_ptr<Session> session = start();
    bool at_start = true;
    for (const Fragment& fragment : framed.fragments) {
        if (fragment.token != kNoToken)
            ids.push_back(fragment.token);
        else
            session->encode(fragment.text, at_start, ids);
        at_start = fragment.token != kNoToken;
    }
    ids.insert(ids.end(), framed.after.begin(), framed.after.end());
    return ids;
}

std::vector<Placed> Tokenizer::encode_placed(std::string_view text, Encoding how,
                                             std::span<const Range> plain) const {
    const Framed framed = frame(text, how, plain);
    std::vector<Placed> placed;
    for (const Token id : framed.before) placed.push_back({id, {0, 0}});
    const std::unique_ptr<Session> session = start();
    std::vector<Token> ids;
    bool at_start = true;
    for (const Fragment& fragment : framed.fragments) {
        const auto begin = static_cast<std::size_t>(fragment.text.data() - text.data());
        if (fragment.token != kNoToken) {
            placed.push_back({fragment.token, {begin, begin + fragment.text.size()}});
        } else {
            ids.clear();
            session->encode(fragment.text, at_start, ids);
            place(fragment.text, begin, at_start, ids, placed);
        }
        at_start = fragment.token != kNoToken;
    }
    for (const Token id : framed.after) placed.push_back({id, {text.size(), text.size()}});
    return placed;
}

void Tokenizer::place(std::string_view fragment, std::size_t begin, bool at_start, std::span<const Token> ids,
                      std::vector<Placed>& out) const {
    std::string all;
    std::vector<std::size_t> ends;
    for (const Token id : ids) {
        all += spelled(id);
        ends.push_back(all.size());
    }
    // A space that was put before the fragment belongs to its first token.
    const std::size_t added = at_start && vocabulary_.add_space_prefix() ? 1 : 0;
    const bool same = all.size() == fragment.size() + added && all.ends_with(fragment);
    std::size_t done = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const std::size_t end =
            same ? std::max(ends[i], added) - added : fragment.size() * (i + 1) / ids.size();
        out.push_back({ids[i], {begin + done, begin + end}});
        done = end;
    }
}

std::string Tokenizer::spelled(Token token) const {
    const std::string& text = vocabulary_.text(token);
    if ((vocabulary_.attributes(token) & kByte) != 0 && text.size() == 6)
        return std::string(1, static_cast<char>(std::strtoul(text.substr(3, 2).c_str(), nullptr, 16)));
    std::string bytes;
    for (std::size_t i = 0; i < text.size();) {
        const bool space = std::string_view(text).substr(i).starts_with(kSpaceMark);
        bytes += space ? ' ' : text[i];
        i += space ? kSpaceMark.size() : 1;
    }
    return bytes;
}

std::vector<Token> Tokenizer::marks_in(std::string_view text) const {
    std::vector<Token> marks;
    for (const Fragment& fragment : all_specials_.partition(text))
        if (fragment.token != kNoToken && is_mark(vocabulary_, fragment.token))
            marks.push_back(fragment.token);
    return marks;
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
