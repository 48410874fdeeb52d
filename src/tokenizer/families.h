// The families that make_tokenizer() knows. Each is one function in one file.
#pragma once

#include <memory>

#include "tokenizer/tokenizer.h"

namespace assay::tokenizer {

/// SentencePiece-like merging by score: `llama`.
std::unique_ptr<Tokenizer> make_spm(const gguf::Metadata& metadata);

/// Byte-pair merging by rank, behind a pre-tokenizer: `gpt2`.
std::unique_ptr<Tokenizer> make_bpe(const gguf::Metadata& metadata);

/// The same with the pre-tokenizer `gemma4` whatever the file says, and no default ids: `gemma4`.
std::unique_ptr<Tokenizer> make_gemma4(const gguf::Metadata& metadata);

}  // namespace assay::tokenizer
