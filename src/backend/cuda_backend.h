// The CUDA backend, as open.cpp sees it. Built from cuda/ where a CUDA compiler was found at configure time,
// else from no_cuda/, whose functions say so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/open.h"

namespace assay::backend {

struct DeviceInfo {
    int index = 0;
    std::string name;
    int compute_major = 0;
    int compute_minor = 0;
    std::size_t total_bytes = 0;
    std::size_t free_bytes = 0;  ///< at the time of the call
};

/// Whether this program contains the CUDA backend.
bool cuda_built() noexcept;

/// Devices that open_cuda() can take; none where the driver is missing or too old.
std::vector<DeviceInfo> cuda_devices();

/// How the message of an Error{Device} begins when device memory ran out: the engine can ask for less.
inline constexpr std::string_view kOutOfDeviceMemory = "out of device memory";

/// Precision::Auto is bf16. Throws Error{Device} in a sentence when there is no driver, no such device, or
/// one older than compute capability 8.0. Running out of device memory later is Error{Device} whose message
/// begins with kOutOfDeviceMemory.
std::unique_ptr<Backend> open_cuda(int device, Precision precision);

}  // namespace assay::backend
