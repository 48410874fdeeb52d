// Refuses a model whose file says more than was read: a program that leaves out a tensor, or a number that
// the architecture computes with, would be another model's.
#pragma once

#include <set>
#include <string>

#include "gguf/file.h"
#include "model/hyperparameters.h"

namespace assay::model {

/// To be asked once the whole program is written. `used` are the names of the tensors that it asked for;
/// those of block n_blocks and of later ones it need not.
/// Throws Error{BadFile} when counts disagree (vocabulary and embedding rows, blocks and block_count),
/// Error{Unsupported} for a tensor or a key that changes the results of this architecture and was not read.
/// What is known to mean nothing for the trunk's results on text is let through: unread.cpp lists it.
void refuse_unread(const gguf::File& file, const Hyperparameters& hp, const std::set<std::string>& used,
                   std::int64_t n_blocks);

}  // namespace assay::model
