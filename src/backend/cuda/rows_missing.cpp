// Row operations that are still to come.
#include "backend/cuda/operations.h"
#include "core/error.h"

namespace assay::backend::cuda {

namespace {

[[noreturn]] void refuse(const char* operation) {
    throw_error(ErrorKind::Unsupported, "cuda", "{} is not there yet", operation);
}

}  // namespace

void CudaBackend::convolve(View, const float*, const float*, std::int64_t, Activation, Rows, View) {
    refuse("convolve");
}
void CudaBackend::scan(const ScanArgs&, Rows, View) { refuse("scan"); }
void CudaBackend::selective_scan(const SelectiveScanArgs&, Rows, View) { refuse("selective_scan"); }
void CudaBackend::chain(View, std::span<const Link>, Rows, const Produced&) { refuse("chain"); }
void CudaBackend::mix(View, View, std::int64_t, std::int64_t, bool, View) { refuse("mix"); }
void CudaBackend::reduce(View, Reduction, std::int64_t, View) { refuse("reduce"); }
void CudaBackend::softmax(View, std::int64_t, View) { refuse("softmax"); }
void CudaBackend::sinkhorn(View, std::int64_t, std::int64_t, float, View) { refuse("sinkhorn"); }

}  // namespace assay::backend::cuda
