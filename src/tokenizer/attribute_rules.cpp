// Attributes that writers of GGUF files leave out or get wrong, recovered from the texts of tokens and from
// the model's name, in the order llama.cpp's loader applies them. They decide which texts split the input,
// so token counts depend on them.
#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>

#include "tokenizer/vocabulary.h"

namespace assay::tokenizer {
namespace {

using Texts = std::initializer_list<std::string_view>;

/// The texts a fill-in-the-middle role is known by. When the file gives the role's id (under one of `keys`)
/// no text is needed; else the first of these in the vocabulary takes the role.
struct Role {
    std::array<std::string_view, 2> keys;
    Texts texts;
};

const std::array<Role, 6> kFillInMiddleRoles{{
    {{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
      "<|code_prefix|>", "<|prefix|>", "<|plamo:fim_prefix|>"}},
    {{"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
      "<|code_suffix|>", "<|suffix|>", "<|plamo:fim_suffix|>"}},
    {{"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"},
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
      "<|middle|>", "<|plamo:fim_middle|>"}},
    {{"tokenizer.ggml.fim_pad_token_id", {}}, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {{"tokenizer.ggml.fim_rep_token_id", {}},
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {{"tokenizer.ggml.fim_sep_token_id", {}}, {"<|file_sep|>", "<|plamo:file_separator|>"}},
}};

// Includes every text that names the end of a turn or a message, so that those two roles need no rule.
constexpr std::string_view kEndOfGeneration[]{
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|ifm|im_end|>",
};

bool contains_any(std::string_view text, Texts parts) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](std::string_view part) { return text.find(part) != std::string_view::npos; });
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
}

}  // namespace

void Vocabulary::add_attributes(std::string_view text, Attributes added, Attributes removed) {
    const Token id = find(text);
    if (id == kNoToken) return;
    Attributes& attributes = entries_[static_cast<std::size_t>(id)].attributes;
    attributes = static_cast<Attributes>((attributes & ~removed) | added);
}

void Vocabulary::apply_attribute_rules(const gguf::Metadata& metadata) {
    mark_fill_in_middle(metadata);
    mark_end_of_generation();
    mark_stripping(metadata);
}

void Vocabulary::mark_fill_in_middle(const gguf::Metadata& metadata) {
    for (const Role& role : kFillInMiddleRoles) {
        const bool given = std::any_of(role.keys.begin(), role.keys.end(), [&](std::string_view key) {
            return !key.empty() && read_id(metadata, key, kNoToken) != kNoToken;
        });
        if (given) continue;
        // Of several candidates llama.cpp takes the one its hash map lists first; here it is the lowest id.
        Token first = kNoToken;
        for (const std::string_view text : role.texts) {
            const Token id = find(text);
            if (id != kNoToken && (first == kNoToken || id < first)) first = id;
        }
        if (first != kNoToken) add_attributes(text(first), kControl, 0);
    }
}

void Vocabulary::mark_end_of_generation() {
    constexpr Attributes kAll = 0xFFFF;
    const auto has = [&](std::string_view text) { return find(text) != kNoToken; };

    for (const std::string_view text : kEndOfGeneration) add_attributes(text, kControl, 0);
    for (const std::string_view text : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
        add_attributes(text, kUserDefined, kAll);
    // Formats with channels use <|end|> inside a conversation, not at its end.
    const bool has_call = has("<|call|>") || has("<|calls|>");
    if (has_call && (has("<|return|>") || has("<|flush|>"))) add_attributes("<|end|>", kUserDefined, kAll);
    // Models that end otherwise have </s> as mark-up.
    const bool plamo = ids_.eos != kNoToken && text(ids_.eos) == "<|plamo:eos|>";
    if (has("<|tool_response>") || plamo) add_attributes("</s>", kNormal, kAll);
}

void Vocabulary::mark_stripping(const gguf::Metadata& metadata) {
    const std::string_view pre = metadata.find_string("tokenizer.ggml.pre").value_or("");
    const std::string_view architecture = metadata.find_string("general.architecture").value_or("");
    const std::string name = lower_case(metadata.find_string("general.name").value_or(""));

    if (contains_any(pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
        contains_any(architecture, {"nomic-bert-moe", "jina-bert-v3"})) {
        add_attributes("<mask>", kStripLeft, 0);
    } else if (contains_any(name, {"phi-3", "phi3"})) {
        for (Entry& entry : entries_)
            if ((entry.attributes & (kControl | kUserDefined | kUnknown)) != 0)
                entry.attributes |= kStripRight;
        add_attributes("</s>", kStripRight, 0);
        for (const std::string_view text : {"<unk>", "<s>", "<|endoftext|>"})
            add_attributes(text, 0, kStripRight);
    } else if (contains_any(name, {"modern-bert"})) {
        add_attributes("[MASK]", kStripLeft, 0);
    }
}

}  // namespace assay::tokenizer
