// A program built without a CUDA compiler.
#include "backend/cuda_backend.h"

#include "core/error.h"

namespace assay::backend {

bool cuda_built() noexcept { return false; }

std::vector<DeviceInfo> cuda_devices() { return {}; }

std::unique_ptr<Backend> open_cuda(int device, Precision, std::uint64_t) {
    throw_error(
        ErrorKind::Device, "cuda",
        "device {} was asked for, but this program was built without CUDA; build it where nvcc is found",
        device);
}

}  // namespace assay::backend
