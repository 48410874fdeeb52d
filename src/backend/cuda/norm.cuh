// What all norms share.
#pragma once

#include "backend/backend.h"

namespace assay::backend::cuda {

/// What a norm multiplies by, of the sum of (x - mean)^2 over n columns.
inline __device__ float norm_factor(NormKind kind, float squares, float n, float eps) {
    switch (kind) {
        case NormKind::None: return 1.0f;
        case NormKind::L2: return 1.0f / sqrtf(squares + eps);
        case NormKind::L2Max: return 1.0f / fmaxf(sqrtf(squares), eps);
        default: return 1.0f / sqrtf(squares / n + eps);
    }
}

}  // namespace assay::backend::cuda
