// Rotary embedding from metadata: frequencies with every kind of scaling applied, so that a kernel only
// multiplies by the position.
#pragma once

#include <cstdint>

#include "model/builder.h"

namespace assay::model {

/// How rope.dimension_sections deals out pairs (time, height, width, fourth).
enum class Sections {
    None,
    Consecutive,  ///< M-RoPE (Wang et al. 2024)
    Interleaved,  ///< pair i in turn to height, width, time
};

struct RopeOptions {
    Pairing pairing = Pairing::Adjacent;
    double base = 0;           ///< 0: from metadata
    bool scaled = true;        ///< false: no frequency scaling (local layers of gemma3)
    bool unmagnified = false;  ///< the magnitude is 1
    bool yarn_betas = false;   ///< the architecture reads yarn_beta_fast and yarn_beta_slow
    double beta_fast = 32;     ///< where metadata have none
    /// YaRN: with g(s) = 1 + 0.1 s ln(factor) the magnitude is g(log_numerator) / g(log_multiplier); g(1) for
    /// 0.
    double log_multiplier = 0;
    double log_numerator = 1;
    /// rope.dimension_sections: pairs of the fourth section stand still, since text has no fourth position.
    Sections sections = Sections::None;
    std::int64_t n_rot = 0;  ///< 0: from metadata, or the whole head
    bool factors = true;     ///< rope_freqs, rope_factors_long and _short apply where the file has them
};

/// Linear scaling, YaRN (Peng et al. 2023), LongRoPE factors (Ding et al. 2024) and per-frequency factors as
/// llama.cpp applies them. Throws Error{BadFile} for impossible numbers.
Rope make_rope(const Builder& b, std::int64_t head_dim, const RopeOptions& options);

}  // namespace assay::model
