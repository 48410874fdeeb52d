// Experts that no token of the text was routed to, and what stands in for their sums.
//   assay.missing_experts_one.{tensors, counts, experts}   those that count as mean 1
//   assay.missing_experts_all.{tensors, counts, experts}   those that every token of some chunks went through
// `experts` are the numbers of the experts of all tensors one after another, `counts` how many each has.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/pass.h"
#include "imatrix/matrix.h"
#include "model/program.h"

namespace assay::calibrate {

enum class MissingExperts {
    Zero,  ///< as counted: sums and count 0
    One,   ///< sums of squares 1 and count 1: every column weighs the same
    All,   ///< every token of the last wave goes through them
};

/// Which experts, by tensor.
using ExpertsOfTensors = std::map<std::string, std::vector<std::int64_t>>;

/// Experts with count 0 in the entries of the program's experts, by the name of their `up` weight.
engine::ExpertLists missing_experts(const model::Program& program, const imatrix::Matrix& matrix);

/// MissingExperts::One for every entry with counts of its own for each expert, marked in the matrix.
void fill_with_ones(imatrix::Matrix& matrix);

/// Takes back what fill_with_ones() did to a matrix that was read from a file: a run that goes on from it
/// counts for itself.
void forget_ones(imatrix::Matrix& matrix);

/// Adds the sums of forced experts, all that `forced` holds, and marks them.
void add_forced(imatrix::Matrix& matrix, const imatrix::Matrix& forced);

/// Experts that the matrix is marked to hold in place of counted ones. Throws Error{BadFile} when the keys do
/// not fit together.
ExpertsOfTensors marked_experts(const imatrix::Matrix& matrix, MissingExperts as);

}  // namespace assay::calibrate
