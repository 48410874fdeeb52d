// Row kernels of the CPU backend, written once and compiled for several instruction sets; one table each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "backend/cpu/mixer_blocks.h"
#include "core/cpu.h"

namespace assay::backend::cpu {

/// One head of one block of queries against the keys and values of its chunk.
struct HeadBlock {
    const float* q = nullptr;  ///< [n_queries, head_dim], stride q_stride
    std::int64_t q_stride = 0;
    const void* keys = nullptr;    ///< packed by pack_keys
    const void* values = nullptr;  ///< packed by pack_values
    std::int64_t n_keys = 0;
    std::int64_t n_keys_padded = 0;
    std::int64_t first_query = 0;  ///< position of the first query
    std::int64_t n_queries = 0;    ///< at most kQueryBlock
    std::int64_t head_dim = 0;
    std::int64_t value_dim = 0;
    float scale = 1;
    float soft_cap = 0;
    bool causal = true;
    std::int64_t window = 0;
    WindowKind window_kind = WindowKind::Sliding;
    const float* query_scale = nullptr;  ///< by position, or null
    const float* sink = nullptr;         ///< this head's, or null
    float slope = 0;                     ///< this head's
    // Keys behind the first n_tokens are those of whole blocks of block_tokens; -1: there are none.
    std::int64_t n_tokens = -1;
    std::int64_t block_tokens = 0;
    /// [n_queries, n], stride chosen_stride, 0 hides: blocks, or without those runs of chosen_tokens tokens;
    /// or null.
    const float* chosen = nullptr;
    std::int64_t chosen_stride = 0;
    std::int64_t chosen_tokens = 1;
    float* scratch = nullptr;  ///< head_block_scratch() floats
    float* out = nullptr;      ///< [n_queries, value_dim], stride out_stride
    std::int64_t out_stride = 0;
};

constexpr std::int64_t kQueryBlock = 64;
constexpr std::int64_t kKeyPad = 32;  ///< keys are padded to a multiple of this

struct Kernels {
    Isa isa;
    /// out = x rounded to nearest even.
    void (*to_bf16)(const float* x, std::int64_t n, std::uint16_t* out);
    /// out = x, exactly.
    void (*from_bf16)(const std::uint16_t* x, std::int64_t n, float* out);
    /// out [n_cols, n_rows] = in [n_rows, n_cols] transposed; strides in words.
    void (*transpose)(const std::uint32_t* in, std::int64_t in_stride, std::int64_t n_rows,
                      std::int64_t n_cols, std::uint32_t* out, std::int64_t out_stride);
    /// squares += weight x^2, plain += weight x; either may be null.
    void (*add_sums)(const float* x, std::int64_t n, float weight, float* squares, float* plain);
    /// A row of norm.n_slices slices; y may alias x.
    void (*norm_row)(const float* x, std::int64_t n, const Norm& norm, float* y);
    /// y = function(gate, up); up null: act(gate). y may alias either.
    void (*gate_row)(const float* gate, const float* up, std::int64_t n, const GateFunction& function,
                     float* y);
    /// y += a * x
    void (*axpy)(float a, const float* x, std::int64_t n, float* y);
    /// One head: rotates pairs by the angles whose cosines and sines [n_rot/2] are given.
    void (*rotate)(float* head, const Rope& rope, const float* cosines, const float* sines);
    /// The largest of c * tanh(x * scale / c), or x * scale where c = 0, which replace x.
    float (*scale_and_max)(float* x, std::int64_t n, float scale, float soft_cap);
    /// Sum of exp(x - shift).
    double (*sum_exp)(const float* x, std::int64_t n, float shift);
    /// y = exp(x - shift); returns the same sum as sum_exp, to the bit.
    double (*exp_row)(const float* x, std::int64_t n, float shift, float* y);
    /// Sum of weight * (a - b).
    double (*dot_difference)(const float* weight, const float* a, const float* b, std::int64_t n);
    /// y = y through one link; operand [n] of those links that have one.
    void (*apply_link)(const Link& link, const float* operand, std::int64_t n, float* y);
    void (*convolve_row)(const ConvolveRow& row);
    /// y [n] (+)= sum of coefficients [n_in] times streams of x, x_step apart.
    void (*mix_stream)(const float* x, std::int64_t x_step, const float* coefficients, std::int64_t n_in,
                       bool accumulate, std::int64_t n, float* y);
    float (*reduce_row)(const float* x, std::int64_t n, Reduction kind);
    void (*scan)(const ScanBlock& block);
    void (*selective_scan)(const SelectiveBlock& block);
    /// Bytes of packed keys (values) of a chunk.
    std::size_t (*packed_keys_bytes)(std::int64_t n_keys_padded, std::int64_t head_dim);
    std::size_t (*packed_values_bytes)(std::int64_t n_keys_padded, std::int64_t value_dim);
    /// k [n_keys, head_dim] and v [n_keys, value_dim] with strides; padding becomes zero.
    void (*pack_keys)(const float* k, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
                      std::int64_t head_dim, void* out);
    void (*pack_values)(const float* v, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
                        std::int64_t value_dim, void* out);
    std::size_t (*head_block_scratch)(std::int64_t n_keys_padded, std::int64_t head_dim,
                                      std::int64_t value_dim);
    void (*head_block)(const HeadBlock& block);
};

const Kernels& kernels_baseline();
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();
/// The same, but for attention's operands, which are rounded to bf16; their products are f32's.
const Kernels& kernels_baseline_widened();
const Kernels& kernels_avx2_widened();
const Kernels& kernels_avx512_widened();
/// Attention products in bf16; the rest as kernels_avx512.
const Kernels& kernels_avx512bf16();
/// The same on AMX tiles.
const Kernels& kernels_amx();

/// Levels below multiply bf16 operands in f32.
constexpr bool has_bf16_products(Isa isa) { return isa >= Isa::Avx512Bf16; }

/// The best table for this level and for operands of this type.
const Kernels& kernels_for(Isa isa, DType operand);

}  // namespace assay::backend::cpu
