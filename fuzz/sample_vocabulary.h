// A small vocabulary that every family of tokenizers can use.
#pragma once

#include <fmt/format.h>
#include <string>

#include "gguf/metadata.h"
#include "tokenizer/byte_alphabet.h"

namespace assay::fuzz {

/// The metadata of a tokenizer that can spell every byte.
inline gguf::Metadata sample_vocabulary(const std::string& model, const std::string& pre) {
    using namespace tokenizer;
    gguf::Strings texts{"<unk>", "<s>", "</s>", "<|a|>", "<|a|><", "  ", "\n\n"};
    gguf::Integers types{2, 3, 3, 4, 4, 4, 4};
    const auto alphabet = byte_alphabet();
    const std::string mark(kSpaceMark);
    for (unsigned byte = 0; byte < 256; ++byte) {
        texts.push_back(alphabet[byte]);
        texts.push_back(fmt::format("<0x{:02X}>", byte));
    }
    gguf::Strings merges{
        "a b",       "ab a", "a a", "aa aa", alphabet[' '] + " a", mark + " a", mark + " " + mark,
        "a " + mark, "1 2"};
    for (const std::string& merge : merges) {
        const std::size_t space = merge.find(' ');
        texts.push_back(merge.substr(0, space) + merge.substr(space + 1));
    }
    types.resize(texts.size(), 1);
    for (std::size_t i = 7; i < 7 + 512; i += 2) types[i + 1] = 6;
    const gguf::Reals scores(texts.size(), -1.0);
    gguf::Metadata metadata("fuzz");
    metadata.set("tokenizer.ggml.model", gguf::text(model));
    metadata.set("tokenizer.ggml.pre", gguf::text(pre));
    metadata.set("general.name", gguf::text("phi-3"));
    metadata.set("tokenizer.ggml.scores", gguf::f32s(scores));
    metadata.set("tokenizer.ggml.unknown_token_id", gguf::u32(0));
    metadata.set("tokenizer.ggml.seperator_token_id", gguf::u32(2));
    metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(1));
    metadata.set("tokenizer.ggml.eos_token_id", gguf::u32(2));
    metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(true));
    metadata.set("tokenizer.ggml.tokens", gguf::texts(texts));
    metadata.set("tokenizer.ggml.token_type", gguf::i32s(types));
    metadata.set("tokenizer.ggml.merges", gguf::texts(merges));
    return metadata;
}

/// Names of the families, as tokenizer.ggml.model has them.
inline constexpr const char* kFamilies[] = {"llama", "gemma4", "whitespace", "hybriddna", "bert",
                                            "t5",    "rwkv",   "plamo2",     "plamo3",    "gpt2"};

}  // namespace assay::fuzz
