// What leaves a pass over a model and its variants.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"

namespace assay::engine {

/// The scored positions of one chunk, in order.
struct VariantChunk {
    std::int64_t variant = 0;  ///< index into the variants of the run
    std::int64_t chunk = 0;    ///< number of the chunk within the text, from 0
    std::span<const backend::Divergence> positions;
};

/// Called from one thread; for each variant, chunks come in increasing order.
class VariantSink {
  public:
    virtual ~VariantSink() = default;
    virtual void on_variant(const VariantChunk& chunk) = 0;
};

}  // namespace assay::engine
