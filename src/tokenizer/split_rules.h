// The pre-tokenizers of BPE models: for each name that `tokenizer.ggml.pre` may have, how text is cut into
// words and what else the name implies. Pure data.
#pragma once

#include <array>
#include <string_view>
#include <vector>

namespace assay::tokenizer {

enum class SplitKind {
    Match,        ///< every match of `pattern` is a piece; so is the text between matches
    GroupEnds,    ///< cuts behind every group of three numbers, counted from the end of each run of \p{N}
    GroupStarts,  ///< cuts before every complete group of three ASCII digits, counted likewise
};

/// One pass over the pieces made so far.
struct SplitRule {
    SplitKind kind = SplitKind::Match;
    std::string_view pattern;  ///< in the notation of expression.h; empty: no rule
};

using PreFlags = unsigned;
inline constexpr PreFlags kIgnoreMerges = 1 << 0;  ///< a word that is a token's text is that token
inline constexpr PreFlags kAddBos = 1 << 1;        ///< unless the file says otherwise
inline constexpr PreFlags kAlwaysAddBos = 1 << 2;  ///< whatever the file says
inline constexpr PreFlags kMarkSpaces = 1 << 3;    ///< spaces become U+2581 before anything else
inline constexpr PreFlags kPlainText = 1 << 4;     ///< texts of tokens are UTF-8, not mapped bytes
inline constexpr PreFlags kNewlineWords = 1 << 5;  ///< like kIgnoreMerges for words of newlines only
inline constexpr PreFlags kNoDefaultBos = 1 << 6;  ///< a BOS token only if the file names one
inline constexpr PreFlags kMergesOptional = 1 << 7;

struct PreTokenizer {
    std::string_view names;  ///< separated by blanks
    std::array<SplitRule, 6> rules;
    PreFlags flags = 0;
};

/// nullptr when no pre-tokenizer has this name.
const PreTokenizer* find_pre_tokenizer(std::string_view name);

/// Every known name.
std::vector<std::string_view> pre_tokenizer_names();

/// The known names that differ least from `name` (Levenshtein distance), the nearest first, equals by name.
std::vector<std::string_view> nearest_pre_tokenizers(std::string_view name);

}  // namespace assay::tokenizer
