// Row operations of mixers other than attention.
#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"
#include "backend/cuda/partial_memory.h"
#include "backend/row_shapes.h"

namespace assay::backend::cuda {

void CudaBackend::convolve(const ConvolveArgs& args, Rows rows, View out) {
    device_->use();
    check_convolve(args, rows, out);
    cuda::convolve(args, tiles_of(rows, kConvolveTile), out, device_->compute());
}

void CudaBackend::scan(const ScanArgs& args, Rows rows, View out) {
    device_->use();
    check_scan(args, rows, out);
    cuda::scan(args, spans_of(rows), rows.n_chunks, out, device_->compute());
}

void CudaBackend::selective_scan(const SelectiveScanArgs& args, Rows rows, View out) {
    device_->use();
    check_selective_scan(args, rows, out);
    cuda::selective_scan(args, spans_of(rows), rows.n_chunks, out, device_->compute());
}

void CudaBackend::chain(View x, std::span<const Link> links, Rows rows, const Produced& out) {
    device_->use();
    check_chain(x, links, rows, out);
    const RowTiles tiles = tiles_of(rows, kChainTile);
    const PartialMemory memory(*device_, out.sums, tiles, x.cols);
    cuda::chain(x, links, tiles, out, memory.partials, device_->compute());
    finish_sums(memory.partials, tiles, rows.n_chunks, out.sums, device_->compute());
}

void CudaBackend::mix(View x, View coefficients, std::int64_t n_in, std::int64_t n_out, bool accumulate,
                      View out) {
    device_->use();
    check_mix(x, coefficients, n_in, n_out, out);
    cuda::mix(x, coefficients, n_in, n_out, accumulate, out, device_->compute());
}

void CudaBackend::reduce(View x, Reduction kind, std::int64_t n_slices, View out) {
    device_->use();
    check_reduce(x, n_slices, out);
    cuda::reduce(x, kind, n_slices, out, device_->compute());
}

void CudaBackend::softmax(View x, std::int64_t n_slices, View out) {
    device_->use();
    check_softmax(x, n_slices, out);
    cuda::softmax(x, n_slices, out, device_->compute());
}

void CudaBackend::sinkhorn(View x, std::int64_t n, std::int64_t iterations, float eps, View out) {
    device_->use();
    check_sinkhorn(x, n, iterations, out);
    cuda::sinkhorn(x, n, iterations, eps, out, device_->compute());
}

void CudaBackend::pool(const PoolArgs& args, Rows rows, View out) {
    device_->use();
    check_pool(args, rows, out);
    cuda::pool(args, positions_of(rows), out, device_->compute());
}

void CudaBackend::select(const SelectArgs& args, Rows rows, View out) {
    device_->use();
    check_select(args, rows, out);
    check_count("select", "components of a key", args.k.cols, 1, kMostIndexerHead);
    cuda::select(args, positions_of(rows), out, device_->compute());
}

}  // namespace assay::backend::cuda
