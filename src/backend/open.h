// Opening a backend: the only place that knows which kinds exist.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/cpu.h"
#include "core/thread_pool.h"

namespace assay::backend {

enum class Precision {
    Auto,  ///< bf16 where the hardware has it, else f32
    Bf16,
    F32,
};

struct OpenOptions {
    std::string device = "auto";  ///< auto, cpu, cuda, cuda:N
    Precision precision = Precision::Auto;
    std::optional<Isa> isa;  ///< forces a lower level than the processor has
    std::int64_t chunk_tokens = 512;
    std::uint64_t device_memory_bytes = 0;  ///< to be taken of a device's own memory; 0: what is free
};

/// The pool is borrowed and must outlive the backend. Throws Error{Usage} for an unknown device,
/// Error{Unsupported} for a precision or level that the device has not, Error{Device} when a vendor library
/// fails.
std::unique_ptr<Backend> open(const OpenOptions& options, ThreadPool& pool);

}  // namespace assay::backend
