// Cosines and sines of rotary embedding, computed once per set of frequencies.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace assay::backend::cpu {

/// [positions, n_rot/2] each, magnitude applied.
struct RopeTable {
    std::vector<float> frequencies;
    float magnitude = 1;
    std::vector<float> cosines;
    std::vector<float> sines;
};

/// Few distinct sets exist in a model, so a linear search is enough.
class RopeTables {
  public:
    explicit RopeTables(std::int64_t positions) : positions_(positions) {}
    const RopeTable& get(std::span<const float> frequencies, float magnitude);

  private:
    std::int64_t positions_;
    std::vector<std::unique_ptr<RopeTable>> tables_;
};

}  // namespace assay::backend::cpu
