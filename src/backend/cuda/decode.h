// Decoding of block formats on the device.
#pragma once

#include <cstdint>
#include <cuda_runtime_api.h>

#include "backend/backend.h"
#include "backend/cuda/device.h"
#include "quant/codebooks.h"

namespace assay::backend::cuda {

using quant::Codebooks;

struct DecodeArgs {
    const std::uint8_t* bytes = nullptr;  ///< whole groups of rows, device memory, 16-byte aligned
    std::int64_t row_bytes = 0;
    std::int64_t n_rows = 0;
    std::int64_t row_cols = 0;   ///< weights of a row
    std::int64_t first_col = 0;  ///< of those that are wanted
    std::int64_t n_cols = 0;     ///< how many are
    float scale = 1;
    void* out = nullptr;  ///< [n_rows, n_cols] in out_dtype
    std::int64_t out_stride = 0;
    DType out_dtype = DType::Bf16;
};

/// Equal to the type's scalar decoder times scale, bit for bit, then rounded to out_dtype. Throws
/// Error{Unsupported} for a type without a device decoder.
void decode(quant::TypeId type, const Codebooks& books, const DecodeArgs& args, cudaStream_t stream);
/// For the types of ik_llama.cpp, which decode() leaves to it.
void decode_ik(quant::TypeId type, const Codebooks& books, const DecodeArgs& args, cudaStream_t stream);

}  // namespace assay::backend::cuda
