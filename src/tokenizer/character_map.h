// The character map of SentencePiece's normaliser, as files carry it in
// `tokenizer.ggml.precompiled_charsmap`: rules that replace one text by another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/metadata.h"

namespace assay::tokenizer {

struct CharacterRule {
    std::string from;  ///< not empty, no NUL inside
    std::string to;
};

/// The rules of the map; none when the file has no such key. Throws Error{BadFile} when the value is no array
/// of bytes, when it points outside itself, and when its rules are more or longer than any real map's (a map
/// that runs in circles has endless ones).
///
/// Layout: u32 n_bytes; n_bytes of u32 nodes, a double array whose children lie at base XOR byte (Kanda
/// 2018); the texts to put in, each ended by NUL. A node has its byte in bits 0 to 7, in bit 8 whether a rule
/// ends here, and in the rest where its children are; a rule's place among the texts is the node at base XOR
/// 0.
std::vector<CharacterRule> read_character_map(const gguf::Metadata& metadata);

}  // namespace assay::tokenizer
