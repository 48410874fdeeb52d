// Row operations that are still to come.
#include "backend/cpu/cpu_backend.h"
#include "core/error.h"

namespace assay::backend::cpu {

namespace {

[[noreturn]] void refuse(const char* operation) {
    throw_error(ErrorKind::Unsupported, "cpu", "{} is not there yet", operation);
}

}  // namespace

void CpuBackend::convolve(View, const float*, const float*, std::int64_t, Activation, Rows, View) {
    refuse("convolve");
}
void CpuBackend::scan(const ScanArgs&, Rows, View) { refuse("scan"); }
void CpuBackend::selective_scan(const SelectiveScanArgs&, Rows, View) { refuse("selective_scan"); }
void CpuBackend::chain(View, std::span<const Link>, Rows, const Produced&) { refuse("chain"); }
void CpuBackend::mix(View, View, std::int64_t, std::int64_t, bool, View) { refuse("mix"); }
void CpuBackend::reduce(View, Reduction, std::int64_t, View) { refuse("reduce"); }
void CpuBackend::softmax(View, std::int64_t, View) { refuse("softmax"); }
void CpuBackend::sinkhorn(View, std::int64_t, std::int64_t, float, View) { refuse("sinkhorn"); }

}  // namespace assay::backend::cpu
