// Byte-pair merging for families that look at the text first.
#pragma once

#include <functional>
#include <memory>

#include "tokenizer/tokenizer.h"

namespace assay::tokenizer {

/// Makes the session that sees the text; it hands to `bpe` what is to be cut into words and merged.
using WrapSession = std::function<std::unique_ptr<Tokenizer::Session>(
    const Vocabulary& vocabulary, std::unique_ptr<Tokenizer::Session> bpe)>;

/// As make_bpe; without `wrap` every fragment goes to merging as it is.
std::unique_ptr<Tokenizer> make_wrapped_bpe(const gguf::Metadata& metadata, WrapSession wrap);

}  // namespace assay::tokenizer
