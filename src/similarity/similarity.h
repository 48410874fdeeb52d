// How much each layer turns the hidden state: mean cosines between what enters and what leaves it (the
// measure of ik_llama.cpp's --layer-similarity; compare Men et al. 2024, ShortGPT). Pure arithmetic on
// running sums; where the rows come from is the engine's matter.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/exact_sum.h"
#include "core/kinds.h"

namespace assay::similarity {

using Kind = SimilarityKind;
inline constexpr std::array<Kind, 6> kKinds{Kind::Layer,    Kind::Attention,         Kind::Ffn,
                                            Kind::Residual, Kind::ResidualAttention, Kind::ResidualFfn};
/// Those that ik_llama.cpp prints.
inline constexpr std::array<Kind, 3> kInputKinds{Kind::Layer, Kind::Attention, Kind::Ffn};

/// The cosines of one layer, summed over tokens.
struct Sum {
    ExactSum cos;
    ExactSum relative_change;  ///< sum of |b - a| / |a|; of the residual kinds
    std::uint64_t count = 0;
};

struct Ranked {
    int layer = 0;
    float cos_sim = 0;  ///< signed mean
};

class Similarity {
  public:
    /// Adds the sum of `count` cosines of layer `layer` >= 0.
    void add(Kind kind, int layer, double cos_sum, std::uint64_t count) {
        add(kind, layer, {cos_sum, {}, count});
    }
    void add(Kind kind, int layer, const Sum& sum);
    void add(const Similarity& other);

    /// By layer; layers that were never added have count 0.
    const std::vector<Sum>& sums(Kind kind) const noexcept { return sums_[static_cast<std::size_t>(kind)]; }

    /// The layers with data by rising |mean|, ties by layer: the first changes its input most.
    std::vector<Ranked> finish(Kind kind) const;

  private:
    std::array<std::vector<Sum>, kKinds.size()> sums_;
};

}  // namespace assay::similarity
