#include <cstdint>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 8;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_attention.h"
#include "backend/cpu/kernels_table.h"

namespace assay::backend::cpu {

const Kernels& kernels_avx2() {
    static constexpr Kernels kTable = kernel_table(Isa::Avx2);
    return kTable;
}

}  // namespace assay::backend::cpu
