// The table of the kernels that stand above the inclusion, and of the one that is everywhere alike. Included
// last by each kernels_*.cpp, after the kernels of its instruction set, so that the list is written once and
// by name.
#pragma once

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_gate.h"
#include "backend/cpu/kernels_mixers.h"
#include "backend/cpu/kernels_norm.h"
#include "backend/cpu/kernels_scan.h"
#include "backend/cpu/kernels_transpose.h"

namespace assay::backend::cpu {
namespace {

constexpr Kernels kernel_table(Isa isa) {
    return {.isa = isa,
            .to_bf16 = to_bf16,
            .from_bf16 = from_bf16,
            .transpose = transpose,
            .add_sums = add_sums,
            .norm_row = norm_row,
            .gate_row = gate_row,
            .axpy = axpy,
            .rotate = rotate,
            .scale_and_max = scale_and_max,
            .sum_exp = sum_exp,
            .exp_row = exp_row,
            .dot_difference = dot_difference,
            .apply_link = apply_link,
            .convolve_row = convolve_row,
            .mix_stream = mix_stream,
            .reduce_row = reduce_row,
            .scan = scan,
            .selective_scan = selective_scan,
            .packed_keys_bytes = packed_keys_bytes,
            .packed_values_bytes = packed_values_bytes,
            .pack_keys = pack_keys,
            .pack_values = pack_values,
            .head_block_scratch = head_block_scratch,
            .head_block = head_block};
}

}  // namespace
}  // namespace assay::backend::cpu
