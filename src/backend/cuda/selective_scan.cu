// Selective scan: a thread carries up to 16 states of one channel through a chunk; wider states are shared by
// neighbouring lanes. The rows of b and c, the same for all channels, come through shared memory. Each state
// of each token takes one exponential, whose unit is what bounds it.
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/row_tiles.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kStates = 16;  ///< of a thread
static_assert(kMaxStates == kStates * 16);

struct SelectiveParameters {
    const float* x;
    const float* dt;
    const float* b;
    const float* c;
    std::int64_t x_stride, dt_stride, b_stride, c_stride;
    const float* a;
    const float* d;
    int channels;
    int n_state;
    ChunkSpans chunks;
    float* out;
    std::int64_t out_stride;
};

/// kLanes lanes share a channel.
template <int kLanes> __global__ void __launch_bounds__(kThreads) selective_kernel(SelectiveParameters p) {
    constexpr int kWidth = kStates * kLanes;
    constexpr int kTokens = 512 / kWidth;  // staged at a time
    __shared__ alignas(16) float staged_b[kTokens][kWidth];
    __shared__ alignas(16) float staged_c[kTokens][kWidth];
    const std::int64_t begin = begin_of(p.chunks, static_cast<int>(blockIdx.y));
    const int n_tokens = static_cast<int>(begin_of(p.chunks, static_cast<int>(blockIdx.y) + 1) - begin);
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const int channel = (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x)) / kLanes;
    const bool present = channel < p.channels;
    constexpr float kLog2e = 1.44269504088896341f;
    float state[kStates] = {};
    float a[kStates];
#pragma unroll
    for (int n = 0; n < kStates; ++n) {
        const int at = lane * kStates + n;
        a[n] = present && at < p.n_state ? p.a[static_cast<std::int64_t>(channel) * p.n_state + at] * kLog2e
                                         : 0.0f;
    }
    const float d = present ? p.d[channel] : 0.0f;
    const auto read = [&](const float* from, std::int64_t stride, int token) {
        return present && token < n_tokens ? from[(begin + token) * stride + channel] : 0.0f;
    };
    // One token ahead.
    float next_x = read(p.x, p.x_stride, 0);
    float next_dt = read(p.dt, p.dt_stride, 0);
    for (int first = 0; first < n_tokens; first += kTokens) {
        const int n_here = min(kTokens, n_tokens - first);
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < n_here * kWidth; i += kThreads) {
            const int n = i % kWidth;
            const std::int64_t row = begin + first + i / kWidth;
            staged_b[i / kWidth][n] = n < p.n_state ? p.b[row * p.b_stride + n] : 0.0f;
            staged_c[i / kWidth][n] = n < p.n_state ? p.c[row * p.c_stride + n] : 0.0f;
        }
        __syncthreads();
#pragma unroll 1
        for (int token = 0; token < n_here; ++token) {
            const float x = next_x;
            const float dt = next_dt;
            next_x = read(p.x, p.x_stride, first + token + 1);
            next_dt = read(p.dt, p.dt_stride, first + token + 1);
            const float step = dt * x;
            float sum = 0;
#pragma unroll
            for (int n = 0; n < kStates; ++n) {
                const int at = lane * kStates + n;
                state[n] = exp2f(dt * a[n]) * state[n] + step * staged_b[token][at];
                sum += state[n] * staged_c[token][at];
            }
#pragma unroll
            for (int offset = 1; offset < kLanes; offset *= 2)
                sum += __shfl_xor_sync(0xffffffffu, sum, offset);
            if (present && lane == 0) p.out[(begin + first + token) * p.out_stride + channel] = sum + d * x;
        }
    }
}

template <int kLanes> void launch(const SelectiveParameters& p, std::int64_t n_chunks, cudaStream_t stream) {
    const int channels_a_block = kThreads / kLanes;
    const dim3 grid(static_cast<unsigned>((p.channels + channels_a_block - 1) / channels_a_block),
                    static_cast<unsigned>(n_chunks));
    selective_kernel<kLanes><<<grid, kThreads, 0, stream>>>(p);
    check(cudaGetLastError(), "a selective scan");
}

}  // namespace

void selective_scan(const SelectiveScanArgs& args, const ChunkSpans& chunks, std::int64_t n_chunks, View out,
                    cudaStream_t stream) {
    if (n_chunks == 0 || args.x.cols == 0) return;
    SelectiveParameters p{};
    p.x = static_cast<const float*>(args.x.data);
    p.dt = static_cast<const float*>(args.dt.data);
    p.b = static_cast<const float*>(args.b.data);
    p.c = static_cast<const float*>(args.c.data);
    p.x_stride = args.x.stride;
    p.dt_stride = args.dt.stride;
    p.b_stride = args.b.stride;
    p.c_stride = args.c.stride;
    p.a = args.a;
    p.d = args.d;
    p.channels = static_cast<int>(args.x.cols);
    p.n_state = static_cast<int>(args.b.cols);
    p.chunks = chunks;
    p.out = static_cast<float*>(out.data);
    p.out_stride = out.stride;
    if (p.n_state <= 16)
        launch<1>(p, n_chunks, stream);
    else if (p.n_state <= 64)
        launch<4>(p, n_chunks, stream);
    else
        launch<16>(p, n_chunks, stream);
}

}  // namespace assay::backend::cuda
