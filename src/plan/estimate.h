// What a pass costs before it has begun: operations counted, rates tried out.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "gguf/file.h"
#include "model/program.h"

namespace assay::plan {

/// Floating-point operations for each token of a chunk: products (a multiplication and an addition for each
/// weight that the token meets), attention over half the chunk on average, and with `losses` the output
/// projection of the scored half.
double flop_per_token(const model::Program& program, std::int64_t n_ctx, bool losses);

/// FLOP/s of one product of the backend alone, weights at hand: x [preferred_rows, n_in] times
/// [n_in, n_out], repeated for at least `seconds`.
double product_rate(backend::Backend& backend, std::int64_t n_in, std::int64_t n_out, double seconds);

/// Bytes per second of a direct read of a part of the model's first file.
double read_rate(const gguf::File& file);

}  // namespace assay::plan
