// The tokens of a model as its metadata lists them: texts, scores, attributes and special ids. Says what a
// token is; how text becomes tokens is each family's own matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gguf/metadata.h"

namespace assay::tokenizer {

/// Index in `tokenizer.ggml.tokens`.
using Token = std::int32_t;
inline constexpr Token kNoToken = -1;

/// Attributes are bits: a rule about a text may add Control to what the file says.
using Attributes = std::uint16_t;
inline constexpr Attributes kUnknown = 1 << 0;
inline constexpr Attributes kUnused = 1 << 1;
inline constexpr Attributes kNormal = 1 << 2;
inline constexpr Attributes kControl = 1 << 3;
inline constexpr Attributes kUserDefined = 1 << 4;
inline constexpr Attributes kByte = 1 << 5;
inline constexpr Attributes kStripLeft = 1 << 6;   ///< as a special token it swallows white space before it
inline constexpr Attributes kStripRight = 1 << 7;  ///< and after it

/// Ids with a meaning; kNoToken where a model has none.
struct SpecialIds {
    Token bos = kNoToken;
    Token eos = kNoToken;
    Token unknown = kNoToken;
    Token separator = kNoToken;
};

/// Who decides which tokens stand around a text.
enum class Framing {
    ByFile,           ///< BOS and EOS as the file says, else by the family's defaults
    AlwaysBos,        ///< the same, but BOS even when the file says no
    BosAndSeparator,  ///< both, whatever the file says
    None,             ///< nothing, whatever the file says
};

/// What a family assumes where the metadata is silent.
struct VocabularyDefaults {
    SpecialIds ids;
    bool add_bos = false;
    bool add_eos = false;
    bool add_space_prefix = false;
    Framing framing = Framing::ByFile;
};

class Vocabulary {
  public:
    /// Reads the `tokenizer.ggml.*` keys. Throws Error{BadFile} when the tokens are missing or too many, or
    /// when scores or types are fewer than tokens. Tolerated as the formats' writers expect, each with a
    /// line in warnings(): an empty text (becomes [EMPTY_<id>]), two ids of one text (the last id is found),
    /// a special id outside the vocabulary (the family's default stays).
    Vocabulary(const gguf::Metadata& metadata, const VocabularyDefaults& defaults);

    Vocabulary(Vocabulary&&) = default;
    Vocabulary& operator=(Vocabulary&&) = default;
    Vocabulary(const Vocabulary&) = delete;
    Vocabulary& operator=(const Vocabulary&) = delete;

    std::size_t size() const noexcept { return entries_.size(); }
    const std::string& text(Token id) const { return entries_[static_cast<std::size_t>(id)].text; }
    float score(Token id) const { return entries_[static_cast<std::size_t>(id)].score; }
    Attributes attributes(Token id) const { return entries_[static_cast<std::size_t>(id)].attributes; }
    /// kNoToken when no token has exactly this text.
    Token find(std::string_view text) const;
    /// The token that spells one byte as <0xXX>, upper-case digits, or kNoToken.
    Token find_byte(std::uint8_t byte) const;

    const SpecialIds& ids() const noexcept { return ids_; }
    bool add_bos() const noexcept { return add_bos_; }
    bool add_eos() const noexcept { return add_eos_; }
    /// Of a text; it stands where EOS does.
    bool add_separator() const noexcept { return add_separator_; }
    bool add_space_prefix() const noexcept { return add_space_prefix_; }
    std::size_t longest_text_bytes() const noexcept { return longest_text_bytes_; }

    /// Names the file in errors.
    const std::string& where() const noexcept { return where_; }
    /// Sentences for the user about what was tolerated.
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }
    void warn(std::string sentence) { warnings_.push_back(std::move(sentence)); }

  private:
    struct Entry {
        std::string text;
        float score = 0.0f;
        Attributes attributes = kNormal;
    };

    void read_entries(const gguf::Metadata& metadata);
    void read_scores(const gguf::Metadata& metadata);
    void read_types(const gguf::Metadata& metadata);
    void read_special_ids(const gguf::Metadata& metadata);
    /// The id under `key` when it is there and inside the vocabulary, else `fallback`.
    Token read_id(const gguf::Metadata& metadata, std::string_view key, Token fallback);
    void read_flags(const gguf::Metadata& metadata, const VocabularyDefaults& defaults);

    // Attributes that files do not store: attribute_rules.cpp.
    void apply_attribute_rules(const gguf::Metadata& metadata);
    void mark_fill_in_middle(const gguf::Metadata& metadata);
    void mark_end_of_generation();
    void mark_stripping(const gguf::Metadata& metadata);
    void add_attributes(std::string_view text, Attributes added, Attributes removed);

    std::string where_;
    std::vector<Entry> entries_;
    std::unordered_map<std::string_view, Token> by_text_;  ///< views into entries_
    SpecialIds ids_;
    bool add_bos_ = false;
    bool add_eos_ = false;
    bool add_separator_ = false;
    bool add_space_prefix_ = false;
    std::size_t longest_text_bytes_ = 0;
    std::vector<std::string> warnings_;
};

}  // namespace assay::tokenizer
