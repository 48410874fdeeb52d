// The lines that scripts read from stdout, character for character those of the existing tools.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "perplexity/perplexity.h"
#include "similarity/similarity.h"

namespace assay::report {

/// "[n]%.4lf," without a line feed; n counts chunks from 1.
std::string chunk_text(std::uint64_t n, double running_perplexity);

/// "Final estimate: PPL = ... +/- ...\n", or the line that tells of a variance that is not positive.
std::string estimate_text(const std::optional<perplexity::Estimate>& estimate);

/// "NextN block 92, 2 tokens ahead: PPL = ... +/- ...\n": how well a block predicts the token that is so many
/// after the one it reads.
std::string nextn_text(std::int64_t block, std::int64_t tokens,
                       const std::optional<perplexity::Estimate>& estimate);

/// "assistant tokens: PPL = ... +/- ...\n": how well the model does on the tokens that a role says.
std::string role_text(std::string_view role, const std::optional<perplexity::Estimate>& estimate);

/// The sorted importance lists of ik_llama.cpp's --layer-similarity: layer, attention, ffn; empty ones are
/// left out.
std::string similarity_text(const similarity::Similarity& similarity);

/// A table by layer of what the residual stream does: cosine and relative change over the layer, its
/// attention and its feed-forward; `nan` for a layer without data. Layers that a part lacks are left out;
/// empty without such data.
std::string residual_text(const similarity::Similarity& similarity);

}  // namespace assay::report
