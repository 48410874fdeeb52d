#include <cstdint>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 4;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_attention.h"
#include "backend/cpu/kernels_table.h"

namespace assay::backend::cpu {

const Kernels& kernels_baseline() {
    static constexpr Kernels kTable = kernel_table(Isa::Scalar);
    return kTable;
}

}  // namespace assay::backend::cpu
