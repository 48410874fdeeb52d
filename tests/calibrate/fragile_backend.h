// A processor that behaves like a device: it has so much memory of its own, or breaks after some work.
#pragma once

#include <atomic>
#include <limits>
#include <optional>

#include "backend/cpu/cpu_backend.h"
#include "backend/open.h"
#include "core/error.h"

namespace assay::calibrate {

struct Fragility {
    /// The largest buffer that it can give.
    std::size_t most_bytes = std::numeric_limits<std::size_t>::max();
    /// Of memory that it says it has left.
    std::optional<std::uint64_t> room_bytes = {};
    /// It breaks at the product behind so many.
    std::int64_t products = std::numeric_limits<std::int64_t>::max();
};

class FragileBackend final : public backend::cpu::CpuBackend {
  public:
    FragileBackend(const backend::OpenOptions& options, ThreadPool& pool, const Fragility& fragility)
        : CpuBackend(detect_isa(), backend::DType::F32, options.chunk_tokens, pool), fragility_(fragility) {}

    std::optional<std::uint64_t> room_bytes() const override { return fragility_.room_bytes; }
    backend::BufferPtr allocate(std::size_t bytes) override {
        if (bytes > fragility_.most_bytes)
            throw_error(ErrorKind::DeviceMemory, "fragile", "full: {} bytes wanted", bytes);
        return CpuBackend::allocate(bytes);
    }
    void linear(backend::View x, const backend::Matrix& w, const float* bias, bool accumulate,
                backend::View out) override {
        if (products_++ >= fragility_.products) throw Error(ErrorKind::Device, "fragile", "broke");
        CpuBackend::linear(x, w, bias, accumulate, out);
    }

  private:
    Fragility fragility_;
    std::int64_t products_ = 0;
};

}  // namespace assay::calibrate
