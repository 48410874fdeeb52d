// A small vocabulary with marks, for the tests of this folder.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/sample.h"

namespace assay::documents {

/// Bytes, some merges, and the marks <s>, </s>, <|open|>, <|close|> (control) and <think>, </think>
/// (user-defined). BOS stands before a text.
inline gguf::Metadata sample_metadata(const std::string& chat_template = {}) {
    using namespace tokenizer;
    std::vector<SampleToken> tokens{{"<unk>", 0, kTypeUnknown},        {"<s>", 0, kTypeControl},
                                    {"</s>", 0, kTypeControl},         {"<|open|>", 0, kTypeControl},
                                    {"<|close|>", 0, kTypeControl},    {"<think>", 0, kTypeUserDefined},
                                    {"</think>", 0, kTypeUserDefined}, {"\xE2\x96\x81", -10}};
    for (unsigned byte = 0; byte < 256; ++byte) tokens.push_back({byte_text(byte), 0, kTypeByte});
    for (char c = 'a'; c <= 'z'; ++c) tokens.push_back({std::string(1, c), -20});
    for (const char* word : {"he", "ll", "hell", "hello", "us", "er", "\xE2\x96\x81hello"})
        tokens.push_back({word, -1});
    gguf::Metadata metadata = tokenizer::sample_metadata("llama", tokens);
    metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(1));
    metadata.set("tokenizer.ggml.eos_token_id", gguf::u32(2));
    if (!chat_template.empty()) metadata.set("tokenizer.chat_template", gguf::text(chat_template));
    return metadata;
}

/// Each message between marks, its role before it.
inline constexpr const char* kMarkedTemplate =
    "{% for message in messages %}<|open|>{{ message.role }}\n{{ message.content }}<|close|>{% endfor %}";

}  // namespace assay::documents
