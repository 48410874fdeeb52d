// The CUDA backend, as open.cpp sees it. Built from cuda/ where a CUDA compiler was found at configure time,
// else from no_cuda/, whose functions say so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
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

/// Precision::Auto is bf16. `memory_bytes` bounds what is taken of the device's memory; 0: what is free.
/// Throws Error{Device} in a sentence when there is no driver, no such device, or one older than compute
/// capability 8.0.
std::unique_ptr<Backend> open_cuda(int device, Precision precision, std::uint64_t memory_bytes);

}  // namespace assay::backend
