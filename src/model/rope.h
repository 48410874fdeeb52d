// Rotary embedding from metadata: frequencies with every kind of scaling applied, so that a kernel only
// multiplies by the position.
#pragma once

#include <cstdint>

#include "gguf/file.h"
#include "model/hyperparameters.h"
#include "model/spec.h"

namespace assay::model {

struct RopeOptions {
    Rope::Pairing pairing = Rope::Pairing::Adjacent;
    std::int64_t n_ctx = 512;  ///< tokens in use, which picks between long and short factors
    double base = 0;           ///< 0: from metadata
    bool scaled = true;        ///< false: no frequency scaling (local layers of gemma3)
    bool yarn_keys = false;    ///< the architecture reads yarn_beta_fast, yarn_beta_slow, yarn_log_multiplier
};

/// Linear scaling, YaRN (Peng et al. 2023), LongRoPE factors (Ding et al. 2024) and per-frequency factors as
/// llama.cpp applies them. Throws Error{BadFile} for impossible numbers.
Rope make_rope(const Hyperparameters& hp, const gguf::File& file, std::int64_t head_dim,
               const RopeOptions& options);

}  // namespace assay::model
