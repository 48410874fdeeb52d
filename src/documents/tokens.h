// From a document's text to its tokens, each with who says it. What people and files say never becomes a
// special token; what a chat template says does.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "documents/renderer.h"
#include "documents/script.h"
#include "documents/source.h"
#include "tokenizer/tokenizer.h"

namespace assay::documents {

struct Document {
    std::int64_t number = 0;  ///< line or piece of the text, from 1
    std::vector<tokenizer::Token> ids;
    std::vector<Role> roles;          ///< of each token
    std::vector<Script> scripts;      ///< of each token
    std::vector<std::size_t> starts;  ///< tokens with which messages begin, rising, the first one's excepted
    bool roles_known = true;
};

/// Special tokens that were written in contents, how often each.
using WrittenMarks = std::map<tokenizer::Token, std::int64_t>;

/// Parts one behind the other, with BOS and EOS where the model wants them around a text. With
/// `parse_special` special tokens written in them count as such; otherwise they are added to `written`.
Document tokenize_parts(const tokenizer::Tokenizer& tokenizer, const std::vector<Part>& parts,
                        bool parse_special, WrittenMarks& written);

/// What a template made of a conversation; it brings BOS and EOS itself. The ids are those of the whole text
/// but for special tokens that contents spell.
Document tokenize_rendered(const tokenizer::Tokenizer& tokenizer, const Conversation& conversation,
                           const Rendered& rendered, bool parse_special, WrittenMarks& written);

}  // namespace assay::documents
