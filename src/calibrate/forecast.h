// How long a run will take, guessed before it begins.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "gguf/file.h"
#include "model/program.h"

namespace assay::calibrate {

struct Workload {
    std::int64_t n_ctx = 0;
    std::int64_t n_tokens = 0;  ///< of all chunks
    bool losses = true;
    std::uint64_t read_bytes = 0;  ///< from disk, over the whole run; 0: the model stays in memory
};

/// Seconds, from rates tried out now on the first of some equal devices, and on the model's disk. 0 where
/// that fails: the run itself will say what is wrong, or find that a smaller wave fits.
double forecast(const gguf::File& file, const model::Program& program,
                std::span<backend::Backend* const> backends, const Workload& work);

}  // namespace assay::calibrate
