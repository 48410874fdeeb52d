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

/// The same for text without white space, cut and dropped before anything else: `whitespace`.
std::unique_ptr<Tokenizer> make_whitespace(const gguf::Metadata& metadata);

/// The same, but nucleotides between <dna> and </dna> go in sixes: `hybriddna`.
std::unique_ptr<Tokenizer> make_hybrid_dna(const gguf::Metadata& metadata);

/// WordPiece, the longest known beginning first: `bert`.
std::unique_ptr<Tokenizer> make_word_piece(const gguf::Metadata& metadata);

/// The most probable of all ways to cut the normalised text: `t5`.
std::unique_ptr<Tokenizer> make_unigram(const gguf::Metadata& metadata);

/// The longest known beginning of the remaining bytes, again and again: `rwkv`.
std::unique_ptr<Tokenizer> make_rwkv(const gguf::Metadata& metadata);

/// The cheapest of all ways to cut the text: `plamo2`.
std::unique_ptr<Tokenizer> make_plamo2(const gguf::Metadata& metadata);

/// The same, within segments that marks and runs of one character end: `plamo3`.
std::unique_ptr<Tokenizer> make_plamo3(const gguf::Metadata& metadata);

}  // namespace assay::tokenizer
