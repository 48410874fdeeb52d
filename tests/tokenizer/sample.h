// Metadata of small vocabularies for tests.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "gguf/metadata.h"
#include "tokenizer/tokenizer.h"

namespace assay::tokenizer {

/// Token types as files number them.
inline constexpr int kTypeNormal = 1, kTypeUnknown = 2, kTypeControl = 3, kTypeUserDefined = 4, kTypeByte = 6;

struct SampleToken {
    std::string text;
    float score = 0.0f;
    int type = kTypeNormal;
};

inline gguf::Metadata sample_metadata(const std::string& model, const std::vector<SampleToken>& tokens) {
    gguf::Strings texts;
    gguf::Reals scores;
    gguf::Integers types;
    for (const SampleToken& token : tokens) {
        texts.push_back(token.text);
        scores.push_back(token.score);
        types.push_back(token.type);
    }
    gguf::Metadata metadata("sample");
    metadata.set("tokenizer.ggml.model", gguf::text(model));
    metadata.set("tokenizer.ggml.tokens", gguf::texts(std::move(texts)));
    metadata.set("tokenizer.ggml.scores", gguf::f32s(std::move(scores)));
    metadata.set("tokenizer.ggml.token_type", gguf::i32s(std::move(types)));
    return metadata;
}

inline std::string byte_text(unsigned byte) { return fmt::format("<0x{:02X}>", byte); }

inline constexpr Encoding kPlain{false, false};

/// The texts of the ids, joined with blanks, in which tests are easy to read.
inline std::string texts_of(const Tokenizer& tokenizer, const std::vector<Token>& ids) {
    std::string joined;
    for (const Token id : ids) {
        if (!joined.empty()) joined += ' ';
        joined += tokenizer.vocabulary().text(id);
    }
    return joined;
}

/// What `act` throws, as "where: message", or "nothing".
template <typename Act> std::string thrown(Act act) {
    try {
        act();
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing";
}

/// A text of up to `n_max` parts drawn from `parts`.
inline std::string random_text(std::mt19937& random, const std::vector<std::string>& parts, unsigned n_max) {
    std::string text;
    const auto pick = [&](std::size_t n) { return random() % n; };
    for (std::size_t n = pick(n_max + 1); n > 0; --n) text += parts[pick(parts.size())];
    return text;
}

}  // namespace assay::tokenizer
