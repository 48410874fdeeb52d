// Finding devices and opening one.
#include <fmt/format.h>

#include "backend/cuda/operations.h"
#include "backend/cuda_backend.h"
#include "core/error.h"

namespace assay::backend {

namespace {

constexpr int kOldestMajor = 8;  ///< bf16 in the tensor cores begins there

DeviceInfo describe(int index) {
    cudaDeviceProp properties{};
    cuda::check(cudaGetDeviceProperties(&properties, index), "reading the device's properties");
    DeviceInfo info;
    info.index = index;
    info.name = properties.name;
    info.compute_major = properties.major;
    info.compute_minor = properties.minor;
    cuda::check(cudaSetDevice(index), "choosing the device");
    cuda::check(cudaMemGetInfo(&info.free_bytes, &info.total_bytes), "reading the memory size");
    return info;
}

}  // namespace

bool cuda_built() noexcept { return true; }

std::vector<DeviceInfo> cuda_devices() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();
        return {};
    }
    std::vector<DeviceInfo> devices;
    for (int i = 0; i < count; ++i)
        if (DeviceInfo info = describe(i); info.compute_major >= kOldestMajor)
            devices.push_back(std::move(info));
    return devices;
}

std::unique_ptr<Backend> open_cuda(int device, Precision precision, std::uint64_t memory_bytes) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorInsufficientDriver)
        throw_error(ErrorKind::Device, "cuda",
                    "the NVIDIA driver is missing or older than this program needs (CUDA {}.{})",
                    CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (status == cudaErrorNoDevice) throw_error(ErrorKind::Device, "cuda", "no CUDA device was found");
    cuda::check(status, "looking for devices");
    if (device < 0 || device >= count)
        throw_error(ErrorKind::Device, "cuda", "device {} was asked for, {} were found", device, count);
    const DeviceInfo info = describe(device);
    if (info.compute_major < kOldestMajor)
        throw_error(ErrorKind::Device, "cuda", "device {} ({}) has compute capability {}.{}, {}.0 is needed",
                    device, info.name, info.compute_major, info.compute_minor, kOldestMajor);
    const bool f32 = precision == Precision::F32;
    return std::make_unique<cuda::CudaBackend>(
        std::make_shared<const cuda::Device>(device), f32 ? DType::F32 : DType::Bf16, memory_bytes,
        fmt::format("{}, {} products, {:.0f} GiB", info.name, f32 ? "f32" : "bf16",
                    static_cast<double>(info.total_bytes) / (1 << 30)));
}

}  // namespace assay::backend
