// From text to the chunks that a model sees, by llama-imatrix's rules.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/job.h"
#include "gguf/file.h"
#include "tokenizer/tokenizer.h"

namespace assay::calibrate {

struct Chunks {
    std::int64_t n_ctx = 0;
    std::int64_t n_chunks = 0;
    std::int64_t n_tokens = 0;          ///< of the text, before anything was dropped
    std::vector<std::int32_t> targets;  ///< [n_chunks * n_ctx] the text's own tokens
    std::vector<std::int32_t>
        inputs;  ///< the same with the first of each chunk replaced by BOS where it belongs

    std::span<const std::int32_t> input_range(std::int64_t first, std::int64_t count) const;
    std::span<const std::int32_t> target_range(std::int64_t first, std::int64_t count) const;
    /// Those behind it move up.
    void leave_out(std::int64_t chunk);
};

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

}  // namespace assay::calibrate
