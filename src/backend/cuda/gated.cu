// The gated activation: each thread owns one column and walks the rows of its group.
#include "backend/cuda/activate.cuh"
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 128;

struct GateArgs {
    const void* product;
    std::int64_t stride;
    std::int64_t ffn;
    std::int64_t chunk_tokens;
    const float* bias;
    Activation activation;
    void* operand;
    std::int64_t operand_stride;
    float* plain;
    std::int64_t plain_stride;
    Partials partials;
};

template <typename In, typename Operand> __global__ void gate_kernel(GateArgs a) {
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= a.ffn) return;
    const std::int64_t group = blockIdx.y;
    const std::int64_t chunk = blockIdx.z;
    const std::int64_t first = chunk * a.chunk_tokens + group * kGatedGroup;
    const std::int64_t last = min(first + kGatedGroup, (chunk + 1) * a.chunk_tokens);
    const float gate_bias = a.bias != nullptr ? a.bias[col] : 0.0f;
    const float up_bias = a.bias != nullptr ? a.bias[a.ffn + col] : 0.0f;
    const In* from = static_cast<const In*>(a.product);
    float squares = 0;
    float plain = 0;
#pragma unroll 8
    for (std::int64_t row = first; row < last; ++row) {
        const float gate_value = to_float(from[row * a.stride + col]) + gate_bias;
        const float up_value = to_float(from[row * a.stride + a.ffn + col]) + up_bias;
        const float y = activate(a.activation, gate_value) * up_value;
        if (a.operand != nullptr)
            static_cast<Operand*>(a.operand)[row * a.operand_stride + col] = round_to<Operand>(y);
        if (a.plain != nullptr) a.plain[row * a.plain_stride + col] = y;
        squares += y * y;
        plain += y;
    }
    const std::int64_t to = (chunk * a.partials.n_groups + group) * a.ffn + col;
    if (a.partials.squares != nullptr) a.partials.squares[to] = squares;
    if (a.partials.plain != nullptr) a.partials.plain[to] = plain;
}

}  // namespace

void gate(View product, const float* bias, Activation activation, Rows rows, const Produced& out,
          const Partials& partials, cudaStream_t stream) {
    if (rows.count() == 0) return;
    GateArgs a{};
    a.product = product.data;
    a.stride = product.stride;
    a.ffn = product.cols / 2;
    a.chunk_tokens = rows.chunk_tokens;
    a.bias = bias;
    a.activation = activation;
    a.operand = out.operand.data;
    a.operand_stride = out.operand.stride;
    a.plain = static_cast<float*>(out.plain.data);
    a.plain_stride = out.plain.stride;
    a.partials = partials;
    const dim3 grid(static_cast<unsigned>((a.ffn + kThreads - 1) / kThreads),
                    static_cast<unsigned>((rows.chunk_tokens + kGatedGroup - 1) / kGatedGroup),
                    static_cast<unsigned>(rows.n_chunks));
    dispatch(product.dtype, [&](auto in) {
        dispatch(out.operand.dtype, [&](auto operand) {
            gate_kernel<decltype(in), decltype(operand)><<<grid, kThreads, 0, stream>>>(a);
        });
    });
    check(cudaGetLastError(), "a gated activation");
}

}  // namespace assay::backend::cuda
