#include <cstdint>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 8;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_attention.h"

namespace assay::backend::cpu {

const Kernels& kernels_avx2() {
    static constexpr Kernels kTable{Isa::Avx2,
                                    to_bf16,
                                    add_sums,
                                    norm_row,
                                    gate_row,
                                    axpy,
                                    rotate,
                                    scale_and_max,
                                    sum_exp,
                                    packed_keys_bytes,
                                    packed_values_bytes,
                                    pack_keys,
                                    pack_values,
                                    head_block_scratch,
                                    head_block};
    return kTable;
}

}  // namespace assay::backend::cpu
