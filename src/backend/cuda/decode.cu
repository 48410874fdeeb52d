#include "backend/cuda/decode_kernel.cuh"
#include "backend/cuda/decode_types.cuh"

namespace assay::backend::cuda {

namespace {

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
    __device__ static void eight(Bytes b, int n, float* w) {
        for (int j = 0; j < n; ++j) w[j] = convert(reinterpret_cast<const T*>(b)[j]);
    }
};

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
        default: return decode_ik(type, books, args, stream);
    }
}

}  // namespace assay::backend::cuda
