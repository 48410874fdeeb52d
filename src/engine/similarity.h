// Comparing rows of hidden states within and between layers, chunk by chunk.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "engine/activation_sink.h"
#include "engine/delivery.h"
#include "engine/rows.h"

namespace assay::engine {

/// Sends per chunk the sums over rows of cos(a, b) and |b - a| / |a|. Cosine and change are 0 where a norm is
/// 0.
void compare_rows(backend::Backend& backend, Delivery& delivery, SimilarityKind kind, std::int64_t layer,
                  const Group& group, backend::View a, backend::View b);

}  // namespace assay::engine
