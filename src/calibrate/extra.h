// What a run keeps in the matrix file beside the sums: keys under `assay.`, which other readers ignore.
//   assay.model.name, assay.model.architecture           strings
//   assay.perplexity.{nll, nll_squared, count}           one entry for each chunk
//   assay.nextn.perplexity.N.{nll, nll_squared, count}   the same by the N-th block that predicts ahead
//   assay.perplexity.ROLE.{nll, nll_squared, count}      the same of the tokens that a role says, where
//                                                        roles are known
//   assay.documents.{count, conversations, cut, pieces, dropped, duplicates}
//                                                        of the last text that had documents
//   assay.documents.weights                              of roles, like --weights
//   assay.similarity.KIND.{cosine, relative_change, count}
//                                                        one entry for each layer
//   assay.similarity.KIND.{cosine_low, relative_change_low}
//                                                        what these lack (core/exact_sum.h); of exact files
//   assay.skipped_chunks                                 numbers in the text, from 1, of chunks left out
//                                                        since they gave no numbers
#pragma once

#include <vector>

#include "calibrate/collector.h"
#include "gguf/metadata.h"
#include "model/program.h"

namespace assay::calibrate {

void store_model(const model::Program& program, gguf::Metadata& extra);
void store_documents(const documents::Counts& counts, const documents::RoleWeights& weights,
                     gguf::Metadata& extra);
void store_losses(const Collected& collected, gguf::Metadata& extra);
/// Adds them to those that are there.
void store_skipped(const std::vector<std::int64_t>& chunks, gguf::Metadata& extra);
/// `exact`: with the low parts.
void store_similarity(const similarity::Similarity& similarity, gguf::Metadata& extra, bool exact = false);

/// Empty when nothing was stored. Throws Error{BadFile} when the arrays do not fit together.
/// `block` from 1: by that block that predicts ahead; 0: by the model.
std::vector<perplexity::Sums> read_losses(const gguf::Metadata& extra, std::size_t block = 0);
/// Of each chunk, empty without roles.
std::vector<RoleLosses> read_role_losses(const gguf::Metadata& extra);
similarity::Similarity read_similarity(const gguf::Metadata& extra);

}  // namespace assay::calibrate
