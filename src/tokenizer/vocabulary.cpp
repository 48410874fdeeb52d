#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <utility>

#include "core/error.h"

namespace assay::tokenizer {
namespace {

Attributes attributes_of_type(std::int64_t type) {
    switch (type) {
        case 1: return kNormal;
        case 2: return kUnknown;
        case 3: return kControl;
        case 4: return kUserDefined;
        case 5: return kUnused;
        case 6: return kByte;
        default: return 0;
    }
}

}  // namespace

Vocabulary::Vocabulary(const gguf::Metadata& metadata, const VocabularyDefaults& defaults)
    : where_(metadata.where()), ids_(defaults.ids) {
    read_entries(metadata);
    read_scores(metadata);
    read_types(metadata);
    read_special_ids(metadata);
    read_flags(metadata, defaults);
    apply_attribute_rules(metadata);
}

Token Vocabulary::find(std::string_view text) const {
    const auto it = by_text_.find(text);
    return it == by_text_.end() ? kNoToken : it->second;
}

Token Vocabulary::find_byte(std::uint8_t byte) const { return find(fmt::format("<0x{:02X}>", byte)); }

void Vocabulary::read_entries(const gguf::Metadata& metadata) {
    constexpr std::string_view kKey = "tokenizer.ggml.tokens";
    const gguf::Strings* texts = metadata.find_strings(kKey);
    if (texts == nullptr) throw_error(ErrorKind::BadFile, where_, "metadata key {} is missing", kKey);
    if (texts->empty()) throw_error(ErrorKind::BadFile, where_, "{} is empty", kKey);
    if (texts->size() > static_cast<std::size_t>(std::numeric_limits<Token>::max()))
        throw_error(ErrorKind::BadFile, where_, "{} has {} entries, more than ids can count", kKey,
                    texts->size());

    entries_.resize(texts->size());
    by_text_.reserve(texts->size());
    std::size_t n_empty = 0;
    std::size_t n_repeated = 0;
    for (std::size_t i = 0; i < texts->size(); ++i) {
        Entry& entry = entries_[i];
        entry.text = (*texts)[i];
        if (entry.text.empty()) {
            entry.text = fmt::format("[EMPTY_{}]", i);
            ++n_empty;
        }
        longest_text_bytes_ = std::max(longest_text_bytes_, entry.text.size());
        if (!by_text_.insert_or_assign(entry.text, static_cast<Token>(i)).second) ++n_repeated;
    }
    if (n_empty > 0) warn(fmt::format("{} tokens have an empty text", n_empty));
    if (n_repeated > 0) warn(fmt::format("{} tokens repeat the text of an earlier one", n_repeated));
}

void Vocabulary::read_scores(const gguf::Metadata& metadata) {
    const auto scores = metadata.find_reals("tokenizer.ggml.scores");
    if (!scores) return;
    if (scores->size() < size())
        throw_error(ErrorKind::BadFile, where_, "tokenizer.ggml.scores has {} entries, expected {}",
                    scores->size(), size());
    for (std::size_t i = 0; i < size(); ++i) entries_[i].score = static_cast<float>((*scores)[i]);
}

void Vocabulary::read_types(const gguf::Metadata& metadata) {
    const gguf::Integers* types = metadata.find_integers("tokenizer.ggml.token_type");
    if (types == nullptr) return;
    if (types->size() < size())
        throw_error(ErrorKind::BadFile, where_, "tokenizer.ggml.token_type has {} entries, expected {}",
                    types->size(), size());
    for (std::size_t i = 0; i < size(); ++i) entries_[i].attributes = attributes_of_type((*types)[i]);
}

Token Vocabulary::read_id(const gguf::Metadata& metadata, std::string_view key, Token fallback) {
    if (fallback != kNoToken && static_cast<std::size_t>(fallback) >= size()) fallback = kNoToken;
    const auto id = metadata.find_integer(key);
    if (!id) return fallback;
    if (*id >= 0 && static_cast<std::uint64_t>(*id) < size()) return static_cast<Token>(*id);
    warn(fmt::format("{} is {}, outside the {} tokens; ignored", key, *id, size()));
    return fallback;
}

void Vocabulary::read_special_ids(const gguf::Metadata& metadata) {
    ids_.bos = read_id(metadata, "tokenizer.ggml.bos_token_id", ids_.bos);
    ids_.eos = read_id(metadata, "tokenizer.ggml.eos_token_id", ids_.eos);
    ids_.unknown = read_id(metadata, "tokenizer.ggml.unknown_token_id", ids_.unknown);
    ids_.separator = read_id(metadata, "tokenizer.ggml.seperator_token_id", ids_.separator);  // as spelled
}

void Vocabulary::read_flags(const gguf::Metadata& metadata, const VocabularyDefaults& defaults) {
    const auto read = [&](std::string_view key, bool fallback) {
        return metadata.find_bool(key).value_or(fallback);
    };
    add_bos_ = read("tokenizer.ggml.add_bos_token", defaults.add_bos);
    add_eos_ = read("tokenizer.ggml.add_eos_token", defaults.add_eos);
    switch (defaults.framing) {
        case Framing::ByFile: break;
        case Framing::AlwaysBos: add_bos_ = true; break;
        case Framing::BosAndSeparator:
            add_bos_ = add_separator_ = true;
            add_eos_ = false;
            break;
        case Framing::None: add_bos_ = add_eos_ = false; break;
    }
    add_space_prefix_ = read("tokenizer.ggml.add_space_prefix", defaults.add_space_prefix);
}

}  // namespace assay::tokenizer
