#include "backend/cuda/convert.cuh"
#include "backend/cuda/decode.h"
#include "backend/cuda/decode_types.cuh"

namespace assay::backend::cuda {

void refuse_type(quant::TypeId type);

namespace {

constexpr int kThreads = 256;

/// A type without blocks: weight i of a row is number i.
template <typename T> struct Plain {
    static constexpr int kWeights = 8, kBytes = 8 * sizeof(T);
    __device__ static float convert(float x) { return x; }
    __device__ static float convert(__half x) { return __half2float(x); }
    __device__ static float convert(Bf16 x) { return __bfloat162float(x); }
    __device__ static float convert(double x) { return static_cast<float>(x); }
    __device__ static float convert(std::int8_t x) { return static_cast<float>(x); }
    __device__ static float convert(std::int16_t x) { return static_cast<float>(x); }
    __device__ static float convert(std::int32_t x) { return static_cast<float>(x); }
    __device__ static float convert(std::int64_t x) { return static_cast<float>(x); }
    __device__ static void eight(Bytes b, int, int n, float* w) {
        for (int j = 0; j < n; ++j) w[j] = convert(reinterpret_cast<const T*>(b)[j]);
    }
};

template <typename T> constexpr bool kIsPlain = false;
template <typename T> constexpr bool kIsPlain<Plain<T>> = true;

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
    const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (item >= per_row * args.n_rows) return;
    const std::int64_t row = item / per_row;
    const std::int64_t col = (args.first_col / 8 + item % per_row) * 8;
    const std::int64_t remaining = args.row_cols - col;
    const int n = remaining < 8 ? static_cast<int>(remaining) : 8;
    const Bytes block =
        args.bytes + row * args.row_bytes + args.row_meta + col / Type::kWeights * Type::kBytes;
    float w[8] = {};
    if constexpr (kIsPlain<Type>)
        Type::eight(block, 0, n, w);
    else
        Type::eight(block, static_cast<int>(col % Type::kWeights), w, books);
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
    const auto blocks = static_cast<unsigned>((items + kThreads - 1) / kThreads);
    dispatch(args.out_dtype, [&](auto out) {
        decode_kernel<Type, decltype(out)><<<blocks, kThreads, 0, stream>>>(args, books);
    });
    check(cudaGetLastError(), "decoding weights");
}

}  // namespace

void decode(quant::TypeId type, const Codebooks& books, const DecodeArgs& args, cudaStream_t stream) {
    using quant::TypeId;
    switch (type) {
        case TypeId::F32: return launch<Plain<float>>(books, args, stream);
        case TypeId::F16: return launch<Plain<__half>>(books, args, stream);
        case TypeId::BF16: return launch<Plain<Bf16>>(books, args, stream);
        case TypeId::F64: return launch<Plain<double>>(books, args, stream);
        case TypeId::I8: return launch<Plain<std::int8_t>>(books, args, stream);
        case TypeId::I16: return launch<Plain<std::int16_t>>(books, args, stream);
        case TypeId::I32: return launch<Plain<std::int32_t>>(books, args, stream);
        case TypeId::I64: return launch<Plain<std::int64_t>>(books, args, stream);
        case TypeId::Q4_0: return launch<Q4_0>(books, args, stream);
        case TypeId::Q4_1: return launch<Q4_1>(books, args, stream);
        case TypeId::Q5_0: return launch<Q5_0>(books, args, stream);
        case TypeId::Q5_1: return launch<Q5_1>(books, args, stream);
        case TypeId::Q8_0: return launch<Q8_0>(books, args, stream);
        case TypeId::Q8_1: return launch<Q8_1>(books, args, stream);
        case TypeId::Q2_K: return launch<Q2K>(books, args, stream);
        case TypeId::Q3_K: return launch<Q3K>(books, args, stream);
        case TypeId::Q4_K: return launch<Q4K>(books, args, stream);
        case TypeId::Q5_K: return launch<Q5K>(books, args, stream);
        case TypeId::Q6_K: return launch<Q6K>(books, args, stream);
        case TypeId::Q8_K: return launch<Q8K>(books, args, stream);
        case TypeId::IQ2_XXS: return launch<Iq2Xxs>(books, args, stream);
        case TypeId::IQ2_XS: return launch<Iq2Xs>(books, args, stream);
        case TypeId::IQ2_S: return launch<Iq2S>(books, args, stream);
        case TypeId::IQ3_XXS: return launch<Iq3Xxs>(books, args, stream);
        case TypeId::IQ3_S: return launch<Iq3S>(books, args, stream);
        case TypeId::IQ1_S: return launch<Iq1S>(books, args, stream);
        case TypeId::IQ1_M: return launch<Iq1M>(books, args, stream);
        case TypeId::IQ4_NL: return launch<Iq4Nl>(books, args, stream);
        case TypeId::IQ4_XS: return launch<Iq4Xs>(books, args, stream);
        case TypeId::TQ1_0: return launch<Tq1_0>(books, args, stream);
        case TypeId::TQ2_0: return launch<Tq2_0>(books, args, stream);
        case TypeId::MXFP4: return launch<Mxfp4>(books, args, stream);
        case TypeId::NVFP4: return launch<Nvfp4>(books, args, stream);
        case TypeId::Q1_0: return launch<Q1_0>(books, args, stream);
        case TypeId::Q2_0: return launch<Q2_0>(books, args, stream);
    }
    refuse_type(type);
}

}  // namespace assay::backend::cuda
