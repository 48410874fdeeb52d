// Results of the CPU backend: operations are done when they return, and what they leave is in host memory.
#pragma once

#include "backend/backend.h"

namespace assay::backend::cpu {

class CpuLanding final : public Landing {
  public:
    void mark() override {}
    std::span<const std::byte> fetch(const void* from, std::size_t bytes) override {
        return {static_cast<const std::byte*>(from), bytes};
    }
    std::optional<std::int64_t> add_chunks(const Sums& sums, std::int64_t n_chunks,
                                           const Totals& totals) override;
};

}  // namespace assay::backend::cpu
