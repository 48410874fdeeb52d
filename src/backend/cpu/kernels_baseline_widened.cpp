#include <cstdint>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 4;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/bf16_widened.h"
// bf16_widened.h comes first: it has what the next needs.
#include "backend/cpu/kernels_attention_bf16.h"
#include "backend/cpu/kernels_table.h"

namespace assay::backend::cpu {

const Kernels& kernels_baseline_widened() {
    static constexpr Kernels kTable = kernel_table(Isa::Scalar);
    return kTable;
}

}  // namespace assay::backend::cpu
