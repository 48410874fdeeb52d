#include <cstdint>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 16;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_attention.h"
#include "backend/cpu/kernels_table.h"

namespace assay::backend::cpu {

const Kernels& kernels_avx512() {
    static constexpr Kernels kTable = kernel_table(Isa::Avx512);
    return kTable;
}

}  // namespace assay::backend::cpu
