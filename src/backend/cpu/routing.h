// Which experts each row goes to.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace assay::backend::cpu {

class CpuRouting final : public Routing {
  public:
    struct Choice {
        std::int32_t row;
        std::int32_t chunk;
        float weight;      ///< of the expert
        float row_weight;  ///< what the row counts
    };
    double count(std::int64_t chunk, std::int64_t expert) const override {
        return counts[static_cast<std::size_t>(chunk * n_experts + expert)];
    }
    std::int64_t n_experts = 0;
    std::vector<std::vector<Choice>> by_expert;  ///< rows ascending
    std::vector<double> counts;                  ///< [chunks, experts]
};

}  // namespace assay::backend::cpu
