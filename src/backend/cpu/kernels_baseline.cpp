#include <cstdint>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 4;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_attention.h"

namespace assay::backend::cpu {

const Kernels& kernels_baseline() {
    static constexpr Kernels kTable{Isa::Scalar,
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
