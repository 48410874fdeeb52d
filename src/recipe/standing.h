// How much the two parts of a layer, mixer and feed-forward, add to the residual stream, so that an error in
// the one can be weighed against an error in the other.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gguf/file.h"

namespace assay::recipe {

/// The output energy of one tensor, as measured with data (errors.h).
struct NamedEnergy {
    std::string name;
    double energy = 0.0;
};

/// Weights of the two parts; their mean is 1.
struct Standing {
    double mixer = 1.0;
    double feed_forward = 1.0;

    /// The weight of a tensor by its name; 1 for tensors of neither part.
    double of(std::string_view name) const;
};

/// From the energies of the matrices that write to the stream (attn_output and ffn_down, and what takes their
/// place), or of the gains of the norms behind them where a layer has both: the median over layers of the
/// ratio. A part never weighs more than four times the other, since columns are not really uncorrelated. Both
/// weigh 1 when no layer tells.
Standing find_standing(const gguf::File& model, std::span<const NamedEnergy> energies);

}  // namespace assay::recipe
