// Which tensors must or should share a type: the items of the knapsack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quant/type_table.h"

namespace assay::recipe {

/// What is known of one quantised tensor.
struct Measured {
    struct Candidate {
        quant::TypeId type;
        std::uint64_t bytes = 0;
        std::optional<double> relative;  ///< error / energy; nothing where it was not measured
        double cost = 0.0;               ///< weighted
    };

    std::size_t tensor = 0;  ///< index in the model
    std::string name;
    bool kept = false;
    std::vector<Candidate> candidates;

    /// Throws Error{Internal} when there is no such candidate.
    const Candidate& get(quant::TypeId type) const;
};

struct Group {
    std::vector<std::size_t> members;  ///< indices into the measured tensors
    std::vector<quant::TypeId> types;  ///< that every member could have; never empty
};

/// Every tensor in one group. Together are
///   the token embeddings, which share one option of the quantisers;
///   the gate and up experts of a block, which ik_llama.cpp multiplies in one step only when they share a
///   type; experts stored one by one ("ffn_up.3.weight"), as one of each sort per block; neighbouring blocks
///   of one sort whose costs differ, for every type, by a factor of at most 1 + merge_tolerance from the
///   first to the last.
/// Tensors under a constraint stand alone, and so does a tensor that has no type in common with its group.
std::vector<Group> group_tensors(std::span<const Measured> tensors, double merge_tolerance);

}  // namespace assay::recipe
