// Patterns are those of the models' tokenizer.json files as llama.cpp adapts them (\p{Lu}, \p{Ll} and their
// like mean any letter; "a letter that is not an ASCII lower-case one" stands for upper case), rewritten
// where the usual form costs more than linear time or a stack as deep as the text.
#include "tokenizer/split_rules.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace assay::tokenizer {
namespace {

// Fragments that many patterns share.
#define ENGLISH_SUFFIX R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))"
#define PREFIXED_WORD R"(|[^\r\n\p{L}\p{N}]?\p{L}+)"
#define SIGNS_AND_BREAKS R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define SIGNS_AND_BREAKS_OR_SLASHES R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)"
#define WHITE_SPACE R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define WHITE_SPACE_ONE_BREAK R"(|\s*[\r\n]|\s+(?!\S)|\s+)"
// Words in mixed case: (upper* lower+), then (upper+ lower*); non-ASCII letters count as both.
#define CASED_WORD(UPPER, LOWER, SUFFIX) \
    R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER "+" SUFFIX R"(|[^\r\n\p{L}\p{N}]?)" UPPER "+" LOWER "*" SUFFIX
#define OPTIONAL_SUFFIX "(?:" ENGLISH_SUFFIX ")?"

constexpr SplitRule kGpt2{SplitKind::Match, R"('(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+)"
                                            R"(|\s+(?!\S)|\s+)"};
constexpr SplitRule kLlama3{SplitKind::Match,
                            ENGLISH_SUFFIX PREFIXED_WORD R"(|\p{N}{1,3})" SIGNS_AND_BREAKS WHITE_SPACE};
constexpr SplitRule kQwen2{SplitKind::Match,
                           ENGLISH_SUFFIX PREFIXED_WORD R"(|\p{N})" SIGNS_AND_BREAKS WHITE_SPACE};
// Turkish suffixes stay behind their apostrophe.
constexpr SplitRule kUfakzeka{SplitKind::Match,
                              R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N})" SIGNS_AND_BREAKS WHITE_SPACE};
// Letters may have marks and the two joiners of Indic and Arabic scripts between them.
constexpr SplitRule kK2Horizon{SplitKind::Match,
                               ENGLISH_SUFFIX R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}\x{200C}\x{200D}]+)"
                                              R"(|\p{N}{1,3})" SIGNS_AND_BREAKS WHITE_SPACE};
constexpr SplitRule kQwen35{SplitKind::Match,
                            ENGLISH_SUFFIX R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
                                           R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" WHITE_SPACE};
constexpr SplitRule kMiniCpm5{SplitKind::Match,
                              ENGLISH_SUFFIX PREFIXED_WORD R"(|\p{N}+)" SIGNS_AND_BREAKS WHITE_SPACE};
constexpr SplitRule kBailing{SplitKind::Match,
                             ENGLISH_SUFFIX PREFIXED_WORD R"(|\p{N})" SIGNS_AND_BREAKS WHITE_SPACE_ONE_BREAK};
constexpr SplitRule kSeedCoder{SplitKind::Match,
                               ENGLISH_SUFFIX PREFIXED_WORD R"(|\p{N}| ?[^\s\p{L}\p{N}\r\n]+)" WHITE_SPACE};
// The usual form nests (letter marks* (blank letter marks*)*)+; this is the same language, unambiguously.
constexpr SplitRule kExaoneMoe{SplitKind::Match, ENGLISH_SUFFIX
                               R"(|[^\r\n\p{L}\p{N}]?\p{L}[\p{L}\p{M}]*+(?: \p{L}[\p{L}\p{M}]*+)*+)"
                               R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?)" WHITE_SPACE_ONE_BREAK};
// Blank runs are taken in powers of two. Behind a blank the rest of the run has no line break (else the first
// alternative had taken it), and asking again at every step would cost the square of the run.
constexpr SplitRule kJais2{SplitKind::Match, ENGLISH_SUFFIX PREFIXED_WORD
                           R"(|\p{N}{1,3})" SIGNS_AND_BREAKS
                           R"(|(?<![^\S\r\n])\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S))"
                           R"(|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S))"
                           R"(|\s{1,2}(?!\S)|\s)"};
constexpr SplitRule kTekken{
    SplitKind::Match,
    CASED_WORD(R"([A-Z\p{L8}])", R"([a-z\p{L8}])", "") R"(|\p{N})" SIGNS_AND_BREAKS_OR_SLASHES WHITE_SPACE};
constexpr SplitRule kGpt4o{
    SplitKind::Match, CASED_WORD(R"([A-Z\p{L8}])", R"([a-z\p{L8}])",
                                 OPTIONAL_SUFFIX) R"(|\p{N}{1,3})" SIGNS_AND_BREAKS_OR_SLASHES WHITE_SPACE};
constexpr SplitRule kGraniteEmbedding{
    SplitKind::Match, CASED_WORD(R"([A-Z\p{L8}\p{M}])", R"([a-z\p{L8}\p{M}])",
                                 OPTIONAL_SUFFIX) R"(|\p{N}{1,3})" SIGNS_AND_BREAKS_OR_SLASHES WHITE_SPACE};
// With upper and lower case both "any letter or mark" the second of the two forms never gets its turn.
constexpr SplitRule kTinyAya{SplitKind::Match, R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)" OPTIONAL_SUFFIX
                                               R"(|\p{N}{1,3})" SIGNS_AND_BREAKS_OR_SLASHES WHITE_SPACE};
constexpr SplitRule kYoutu{SplitKind::Match, R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)" OPTIONAL_SUFFIX
                                             R"(|\p{N})" SIGNS_AND_BREAKS_OR_SLASHES WHITE_SPACE};
constexpr SplitRule kYoutuAsian{
    SplitKind::Match,
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
    R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F})"
    R"(\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"};

#define SIGN_BEFORE_WORD \
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
constexpr SplitRule kDeepSeek3{SplitKind::Match, SIGN_BEFORE_WORD R"(| ?[\p{P}\p{S}]+[\r\n]*)" WHITE_SPACE};
constexpr SplitRule kSpark{SplitKind::Match, SIGN_BEFORE_WORD R"(| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)"};
#undef SIGN_BEFORE_WORD
constexpr SplitRule kCjkAndKana{SplitKind::Match,
                                R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"};
constexpr SplitRule kAsian{SplitKind::Match,
                           R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{8C48}-\x{FAFF}\x{3040}-\x{309F})"
                           R"(\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF}\x{E40}-\x{E7F})"
                           R"(\x{E80}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F})"
                           R"(\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)"};

constexpr SplitRule kLineBreak{SplitKind::Match, R"([\r\n])"};
constexpr SplitRule kDeepSeekWord{
    SplitKind::Match,
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C})"
    R"(\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5})"
    R"(\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B})"
    R"(\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45})"
    R"(\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB})"
    R"(\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115})"
    R"(\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139})"
    R"(\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
    R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)"};
constexpr SplitRule kDeepSeekPunctuation{
    SplitKind::Match, R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)"};
// The look-behind spares the search a walk over every run that is not at the end.
constexpr SplitRule kTrailingSpace{SplitKind::Match, R"((?<!\s)\s++\z)"};
constexpr SplitRule kDeepSeekAsian{SplitKind::Match,
                                   R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)"};
constexpr SplitRule kSpacedLetters{SplitKind::Match, R"(\s?\p{L}+)"};
constexpr SplitRule kSpacedPunctuation{SplitKind::Match, R"(\s?\p{P}+)"};

constexpr SplitRule kDigit{SplitKind::Match, R"(\p{N})"};
constexpr SplitRule kNumber{SplitKind::Match, R"(\p{N}+)"};
constexpr SplitRule kThreeDigits{SplitKind::Match, R"(\p{N}{1,3})"};
constexpr SplitRule kAsciiThreeDigits{SplitKind::Match, R"([0-9][0-9][0-9])"};
constexpr SplitRule kGroupEnds{SplitKind::GroupEnds, {}};
constexpr SplitRule kGroupStarts{SplitKind::GroupStarts, {}};

constexpr SplitRule kDefaultSigns{SplitKind::Match, R"([\p{P}$+<=>^~|]+)"};
constexpr SplitRule kFalconSigns{SplitKind::Match, R"([\p{P}$+<=>^~|`]+)"};
constexpr SplitRule kBloom{SplitKind::Match,
                           R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)"};
constexpr SplitRule kChameleonSentinel{SplitKind::Match, R"(<sentinel:[0-9]+>)"};
constexpr SplitRule kChameleonImage{SplitKind::Match, R"(IMGIMG[A-I]{1,4}Z)"};
constexpr SplitRule kChameleonBlanks{SplitKind::Match, R"([\t\n]|    |  )"};
constexpr SplitRule kChameleonSigns{SplitKind::Match, R"([\p{P}!-/:-@\[-`{-~])"};
constexpr SplitRule kNewlines{SplitKind::Match, R"([^\n]+|\n+)"};
constexpr SplitRule kNonSpace{SplitKind::Match, R"(\S+)"};

// Han characters are a list here, and so no letters.
#define HAN                                                                                          \
    R"(\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F})" \
    R"(\x{2B820}-\x{2CEAF}\x{2CEB0}-\x{2EBEF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F})"
constexpr SplitRule kKimi{SplitKind::Match, "[" HAN R"(]+|[^\r\n\p{L}\p{N})" HAN R"(]?\p{L}+)" OPTIONAL_SUFFIX
                                            R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N})" HAN R"(]+[\r\n]*)" WHITE_SPACE};
#undef HAN
#undef OPTIONAL_SUFFIX
#undef CASED_WORD
#undef WHITE_SPACE_ONE_BREAK
#undef WHITE_SPACE
#undef SIGNS_AND_BREAKS_OR_SLASHES
#undef SIGNS_AND_BREAKS
#undef PREFIXED_WORD
#undef ENGLISH_SUFFIX

constexpr PreTokenizer kPreTokenizers[]{
    {"default", {kDefaultSigns, kGpt2, kNumber, kAsciiThreeDigits}},
    {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     {kLlama3},
     kIgnoreMerges | kAddBos},
    {"dbrx smaug-bpe", {kLlama3}},
    {"glm4 glm5", {kLlama3}, kIgnoreMerges | kNoDefaultBos},
    {"chatglm-bpe", {kLlama3}, kNoDefaultBos},
    {"k2-horizon", {kK2Horizon}},
    {"jais-2", {kJais2}},
    {"minicpm5", {kThreeDigits, kMiniCpm5}, kIgnoreMerges},
    {"deepseek-llm",
     {kLineBreak, kDeepSeekWord, kDeepSeekPunctuation, kTrailingSpace, kDeepSeekAsian, kNumber}},
    {"deepseek-coder", {kLineBreak, kSpacedLetters, kSpacedPunctuation, kDeepSeekAsian, kDigit}},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {kThreeDigits, kCjkAndKana, kDeepSeek3}},
    {"spark2_5", {kThreeDigits, kCjkAndKana, kSpark, kDigit}},
    {"youtu", {kYoutuAsian, kYoutu}, kIgnoreMerges},
    {"falcon", {kFalconSigns, kGpt2, kAsciiThreeDigits}},
    {"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert exaone4 mpt olmo "
     "jais trillion granite-docling jina-v1-en jina-v2-code roberta-bpe",
     {kGpt2}},
    {"starcoder refact command-r cohere2_moe smollm codeshell exaone minerva-7b mellum2", {kDigit, kGpt2}},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 openpangu megrez stablelm2 hunyuan grok-2 solar-open", {kQwen2}},
    {"qwen35", {kQwen35}},
    {"ufakzeka", {kUfakzeka}},
    {"laguna", {kNewlines, kQwen2}},
    {"bloom gpt3-finnish poro-chat", {kBloom}},
    {"viking", {kBloom, kDigit}},
    {"tekken", {kTekken}, kIgnoreMerges | kAddBos},
    {"exaone-moe", {kExaoneMoe}},
    {"chameleon",
     {kChameleonSentinel, kChameleonImage, kChameleonBlanks, kDigit, kChameleonSigns, kGpt2},
     kAddBos},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {kGpt4o}},
    {"granite-embed-multi-97m", {kGraniteEmbedding}, kIgnoreMerges},
    {"tiny_aya cohere2moe", {kGroupEnds, kTinyAya}},
    {"superbpe", {kNumber, kGroupStarts}},
    {"bailingmoe bailingmoe2 llada-moe", {kBailing}},
    {"seed-coder", {kSeedCoder}},
    {"kimi-k2", {kKimi}, kMergesOptional},
    {"afmoe", {kGroupEnds, kAsian, kDeepSeek3}},
    {"gemma4 granite-embed-multi-311m",
     {kNewlines},
     kMarkSpaces | kPlainText | kNewlineWords | kAlwaysAddBos},
    {"sarvam-moe", {kNewlines}, kMarkSpaces | kPlainText},
    {"whitespace", {kNonSpace}, kPlainText},
};

/// visit(name, pre) for every name.
template <typename Visit> void for_each_name(Visit visit) {
    for (const PreTokenizer& pre : kPreTokenizers)
        for (std::string_view rest = pre.names; !rest.empty();) {
            const std::size_t end = std::min(rest.find(' '), rest.size());
            visit(rest.substr(0, end), pre);
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
}

/// Insertions, deletions and replacements that turn one into the other (Levenshtein 1966).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
    const PreTokenizer* found = nullptr;
    for_each_name([&](std::string_view known, const PreTokenizer& pre) {
        if (known == name) found = &pre;
    });
    return found;
}

std::vector<std::string_view> pre_tokenizer_names() {
    std::vector<std::string_view> names;
    for_each_name([&](std::string_view name, const PreTokenizer&) { names.push_back(name); });
    return names;
}

std::vector<std::string_view> nearest_pre_tokenizers(std::string_view name) {
    constexpr std::size_t kListed = 5;
    constexpr std::size_t kLongest = 100;  // a longer name has no near one, and distances cost its length
    std::vector<std::pair<std::size_t, std::string_view>> known;
    for (const std::string_view other : pre_tokenizer_names())
        known.emplace_back(distance(name.substr(0, kLongest), other), other);
    std::sort(known.begin(), known.end());
    known.resize(kListed);
    std::vector<std::string_view> nearest;
    for (const auto& [unused, other] : known) nearest.push_back(other);
    return nearest;
}

}  // namespace assay::tokenizer
