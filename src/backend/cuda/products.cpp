#include "backend/cuda/products.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace assay::backend::cuda {

namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

void check_lt(cublasStatus_t status, const char* what) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw_error(ErrorKind::Device, "cublasLt", "{} failed: {}", what, cublasLtGetStatusString(status));
}

cudaDataType_t data_type(DType dtype) { return dtype == DType::F32 ? CUDA_R_32F : CUDA_R_16BF; }

/// The alignment that all rows of a view share, at most 16 bytes: the lowest bit set in address or stride.
std::uint32_t alignment(const void* data, std::int64_t stride, DType dtype) {
    const auto bits = reinterpret_cast<std::uintptr_t>(data) |
                      static_cast<std::uintptr_t>(stride * size_of(dtype)) | std::uintptr_t{16};
    return static_cast<std::uint32_t>(bits & (~bits + 1));
}

/// Without several partial sums: the order of additions is the inner dimension's.
bool adds_in_one_order(const cublasLtMatmulAlgo_t& algorithm) {
    std::int32_t splits = 0;
    std::uint32_t scheme = 0;
    std::size_t written = 0;
    const auto splits_status = cublasLtMatmulAlgoConfigGetAttribute(
        &algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits, &written);
    const auto scheme_status = cublasLtMatmulAlgoConfigGetAttribute(
        &algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme, &written);
    return (splits_status != CUBLAS_STATUS_SUCCESS || splits <= 1) &&
           (scheme_status != CUBLAS_STATUS_SUCCESS || scheme == CUBLASLT_REDUCTION_SCHEME_NONE);
}

}  // namespace

/// cuBLASLt counts columns first, so the product it sees is out^T [n_out, rows] = w^T' x^T.
struct Products::Layouts {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t w;
    cublasLtMatrixLayoutOpaque_t x;
    cublasLtMatrixLayoutOpaque_t out;

    Layouts(const Product& p, std::int64_t rows) {
        const auto type = data_type(p.x.dtype);
        const auto n_in = static_cast<std::uint64_t>(p.n_in);
        const auto n_out = static_cast<std::uint64_t>(p.n_out);
        const auto n = static_cast<std::uint64_t>(rows);
        check_lt(cublasLtMatmulDescInit(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
        const cublasOperation_t of_w = p.w_by_inputs ? CUBLAS_OP_N : CUBLAS_OP_T;
        set(CUBLASLT_MATMUL_DESC_TRANSA, of_w);
        if (p.bias != nullptr) {
            set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
            set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
        }
        check_lt(cublasLtMatrixLayoutInit(&w, type, p.w_by_inputs ? n_out : n_in,
                                          p.w_by_inputs ? n_in : n_out, p.row_of_w()),
                 "describing the weights");
        check_lt(cublasLtMatrixLayoutInit(&x, type, n_in, n, p.x.stride), "describing the operand");
        check_lt(cublasLtMatrixLayoutInit(&out, data_type(p.out.dtype), n_out, n, p.out.stride),
                 "describing the result");
        if (p.batch == 1) return;
        repeat(w, p.batch, p.w_step);
        repeat(x, p.batch, p.x_step);
        repeat(out, p.batch, p.out_step);
    }

    static void repeat(cublasLtMatrixLayoutOpaque_t& layout, std::int64_t batch, std::int64_t step) {
        const auto count = static_cast<std::int32_t>(batch);
        check_lt(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                                  sizeof count),
                 "describing a batch");
        check_lt(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step,
                                                  sizeof step),
                 "describing a batch");
    }

    template <typename T> void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
        check_lt(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof value),
                 "describing a product");
    }
};

Products::Products(DevicePtr device) : device_(std::move(device)) {
    check_lt(cublasLtCreate(&handle_), "starting the library");
    for (void*& workspace : workspaces_) workspace = device_->allocate(kWorkspaceBytes, device_->compute());
    for (std::size_t i = 0; i < kLanes; ++i) {
        lanes_[i] = make_stream();
        lanes_done_[i] = make_event();
    }
    fork_ = make_event();
}

Products::~Products() {
    for (void* workspace : workspaces_)
        if (workspace != nullptr) device_->release(workspace);
    cublasLtDestroy(handle_);
}

const cublasLtMatmulAlgo_t& Products::algorithm(const Key& key, const Product& product, Layouts& nominal) {
    if (const auto found = algorithms_.find(key); found != algorithms_.end()) return found->second;
    cublasLtMatmulPreferenceOpaque_t preference;
    check_lt(cublasLtMatmulPreferenceInit(&preference), "choosing an algorithm");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
        check_lt(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
                 "choosing an algorithm");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.w_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.x_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.out_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.out_alignment);
    std::array<cublasLtMatmulHeuristicResult_t, 16> results{};
    int n_results = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_, &nominal.operation, &nominal.w, &nominal.x, &nominal.out, &nominal.out, &preference,
        static_cast<int>(results.size()), results.data(), &n_results);
    for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < n_results; ++i) {
        const auto& result = results[static_cast<std::size_t>(i)];
        if (result.state == CUBLAS_STATUS_SUCCESS && adds_in_one_order(result.algo))
            return algorithms_.emplace(key, result.algo).first->second;
    }
    throw_error(ErrorKind::Device, "cublasLt", "no algorithm for a product with {} inputs and {} outputs",
                product.n_in, product.n_out);
}

void Products::multiply(const Product& p, cudaStream_t stream, void* workspace) {
    if (p.x.rows == 0 || p.n_out == 0) return;
    const Key key{.operand = p.x.dtype,
                  .result = p.out.dtype,
                  .accumulate = p.accumulate,
                  .bias = p.bias != nullptr,
                  .w_by_inputs = p.w_by_inputs,
                  .batch = p.batch,
                  .n_in = p.n_in,
                  .n_out = p.n_out,
                  .nominal_rows = p.nominal_rows,
                  .x_alignment = alignment(p.x.data, p.x.stride, p.x.dtype),
                  .w_alignment = alignment(p.w, p.row_of_w(), p.x.dtype),
                  .out_alignment = alignment(p.out.data, p.out.stride, p.out.dtype)};
    Layouts nominal(p, p.nominal_rows);
    const cublasLtMatmulAlgo_t& chosen = algorithm(key, p, nominal);
    Layouts layouts(p, p.x.rows);
    const float one = 1;
    const float beta = p.accumulate ? 1.0f : 0.0f;
    check_lt(cublasLtMatmul(handle_, &layouts.operation, &one, p.w, &layouts.w, p.x.data, &layouts.x, &beta,
                            p.out.data, &layouts.out, p.out.data, &layouts.out, &chosen, workspace,
                            kWorkspaceBytes, stream),
             "a matrix product");
}

void Products::multiply_all(std::span<const Product> products) {
    check(cudaEventRecord(fork_.get(), device_->compute()), "recording an event");
    for (const Stream& lane : lanes_)
        check(cudaStreamWaitEvent(lane.get(), fork_.get(), 0), "starting products side by side");
    for (std::size_t i = 0; i < products.size(); ++i)
        multiply(products[i], lanes_[i % kLanes].get(), workspaces_[i % kLanes]);
    for (std::size_t i = 0; i < kLanes; ++i) {
        check(cudaEventRecord(lanes_done_[i].get(), lanes_[i].get()), "recording an event");
        check(cudaStreamWaitEvent(device_->compute(), lanes_done_[i].get(), 0), "waiting for products");
    }
}

}  // namespace assay::backend::cuda
