// How attention's bf16 products find their second operand. Included like kernels_rows.h.
#pragma once

#include <algorithm>
#include <vector>

#include "backend/cpu/kernels_softmax.h"

namespace assay::backend::cpu {
namespace {

constexpr std::int64_t kPair = 2;

/// Where the pairs of kLanes columns starting at column n are: base + n * per_column + pair * per_pair.
struct Packed {
    const std::uint16_t* base;
    std::int64_t per_column;
    std::int64_t per_pair;
};

}  // namespace
}  // namespace assay::backend::cpu
