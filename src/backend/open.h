// Opening a backend: the only place that knows which kinds exist.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "core/cpu.h"
#include "core/thread_pool.h"

namespace assay::backend {

enum class Precision {
    Auto,  ///< bf16 where the hardware has it, else f32
    Bf16,  ///< bf16 operands, multiplied in f32 where the hardware cannot otherwise
    F32,
};

/// The devices that a list stands for, by names that open() takes: "auto" is every GPU or else the
/// processors, "cuda" every GPU, "cuda:1,cuda:0" these two, "cpu,cpu" the processors in two parts. With
/// `only`, the one with this number of them, from 0. Throws Error{Usage} for unknown words, for processors
/// beside GPUs, whose results differ in bits, and for a number that the list has not.
std::vector<std::string> list_devices(std::string_view list, std::optional<std::int64_t> only = {});

struct OpenOptions {
    std::string device = "auto";  ///< a list of which the first is opened
    Precision precision = Precision::Auto;
    std::optional<Isa> isa;  ///< forces a lower level than the processor has
    std::int64_t chunk_tokens = 512;
    std::uint64_t device_memory_bytes = 0;  ///< to be taken of a device's own memory; 0: what is free
};

/// The pool is borrowed and must outlive the backend. Throws Error{Usage} for an unknown device,
/// Error{Unsupported} for a level that the processor has not, Error{Device} when a vendor library
/// fails.
std::unique_ptr<Backend> open(const OpenOptions& options, ThreadPool& pool);

}  // namespace assay::backend
