// The kernel that decodes rows, for any block format. A format is a struct of decode_types.cuh, or one of
// those that host and device share (quant/ik_blocks.h).
#pragma once

#include "backend/cuda/convert.cuh"
#include "backend/cuda/decode.h"
#include "quant/block_bits.h"

namespace assay::backend::cuda {

using quant::Bytes;

constexpr int kDecodeThreads = 256;

template <typename T> __device__ void store_eight(T* out, const float* w, int n, float scale) {
    T rounded[8];
    for (int j = 0; j < 8; ++j) rounded[j] = round_to<T>(w[j] * scale);
    if (n == 8 && reinterpret_cast<std::uintptr_t>(out) % 16 == 0) {
        for (unsigned part = 0; part < sizeof rounded / 16; ++part)
            reinterpret_cast<uint4*>(out)[part] = reinterpret_cast<const uint4*>(rounded)[part];
        return;
    }
    for (int j = 0; j < n; ++j) out[j] = rounded[j];
}

/// Runs of eight weights that a row's wanted columns lie in.
__host__ __device__ inline std::int64_t eights(const DecodeArgs& args) {
    return args.n_cols == 0 ? 0 : (args.first_col + args.n_cols + 7) / 8 - args.first_col / 8;
}

/// One thread, eight weights.
template <typename Type, typename Out> __global__ void decode_kernel(DecodeArgs args, Codebooks books) {
    const std::int64_t per_row = eights(args);
    const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kDecodeThreads + threadIdx.x;
    if (item >= per_row * args.n_rows) return;
    const std::int64_t row = item / per_row;
    const std::int64_t col = (args.first_col / 8 + item % per_row) * 8;
    const std::int64_t remaining = args.row_cols - col;
    const int n = remaining < 8 ? static_cast<int>(remaining) : 8;
    float w[8] = {};
    if constexpr (requires { Type::kRows; }) {
        constexpr unsigned kRows = Type::kRows;
        const auto lane = static_cast<unsigned>(row % kRows);
        const Bytes group = args.bytes + (row - lane) * args.row_bytes;
        const Bytes block = group + kRows * (Type::kRowMeta + col / Type::kWeights * Type::kBytes);
        Type::eight({group + lane * Type::kRowMeta, block, lane}, static_cast<unsigned>(col % Type::kWeights),
                    w, books);
    } else {
        const Bytes block = args.bytes + row * args.row_bytes + col / Type::kWeights * Type::kBytes;
        if constexpr (requires { Type::eight(block, n, w); })
            Type::eight(block, n, w);
        else
            Type::eight(block, static_cast<int>(col % Type::kWeights), w, books);
    }
    // The first and the last eight may hold weights that are not wanted.
    const std::int64_t to = col - args.first_col;
    Out* out = static_cast<Out*>(args.out) + row * args.out_stride;
    if (to >= 0 && to + n <= args.n_cols) return store_eight(out + to, w, n, args.scale);
    for (int j = 0; j < n; ++j)
        if (to + j >= 0 && to + j < args.n_cols) out[to + j] = round_to<Out>(w[j] * args.scale);
}

template <typename Type> void launch(const Codebooks& books, const DecodeArgs& args, cudaStream_t stream) {
    const std::int64_t items = eights(args) * args.n_rows;
    if (items == 0) return;
    const auto blocks = static_cast<unsigned>((items + kDecodeThreads - 1) / kDecodeThreads);
    dispatch(args.out_dtype, [&](auto out) {
        decode_kernel<Type, decltype(out)><<<blocks, kDecodeThreads, 0, stream>>>(args, books);
    });
    check(cudaGetLastError(), "decoding weights");
}

}  // namespace assay::backend::cuda
