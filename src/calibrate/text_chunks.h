// From text to the chunks that a model sees, by llama-imatrix's rules.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/chunks.h"
#include "calibrate/job.h"
#include "gguf/file.h"
#include "tokenizer/tokenizer.h"

namespace assay::calibrate {

/// Skips options.skip_chunks, needs two chunks, drops the tail, keeps at most options.max_chunks. Throws
/// Error{Usage} when the text is too short.
Chunks make_chunks(std::vector<tokenizer::Token> tokens, const tokenizer::Vocabulary& vocabulary,
                   const Options& options);

/// Sentences about a text that is not what it should be: another kind of file, or one that brings the special
/// tokens which `ids`, its tokens, have at their ends anyway.
std::vector<std::string> text_notes(std::string_view text, std::span<const tokenizer::Token> ids,
                                    const tokenizer::Vocabulary& vocabulary);

/// The chunks of options.text by the model's own tokenizer, whose warnings become notes, as do text_notes()
/// and overrides that nothing has read: the model has been built before.
Chunks tokenize(const gguf::File& model, const Options& options, Observer& observer);

/// Those of options.make_chunks, or of the text.
Chunks chunks_of(const gguf::File& model, const Options& options, Observer& observer);

}  // namespace assay::calibrate
