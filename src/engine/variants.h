// A pass over a model and its variants: what a variant is, and what leaves.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "plan/plan.h"
#include "weights/replacement.h"

namespace assay::engine {

/// Other bytes for some of the model's weights, or another file with all of them. What is named here is
/// borrowed.
struct Variant {
    weights::Replacement* replacement = nullptr;  ///< null: no weight is replaced
    /// Of a file whose program is the model's, but for factors of its weights (model::Weight::scale), and for
    /// the same kind of backend. Null: the model's own.
    const plan::PassPlan* plan = nullptr;
};

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
