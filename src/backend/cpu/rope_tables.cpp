#include "backend/cpu/rope_tables.h"

#include <algorithm>
#include <cmath>

namespace assay::backend::cpu {

const RopeTable& RopeTables::get(std::span<const float> frequencies, float magnitude) {
    for (const auto& table : tables_)
        if (table->magnitude == magnitude && std::ranges::equal(table->frequencies, frequencies))
            return *table;
    auto table = std::make_unique<RopeTable>();
    table->frequencies.assign(frequencies.begin(), frequencies.end());
    table->magnitude = magnitude;
    for (std::int64_t position = 0; position < positions_; ++position)
        for (const float frequency : frequencies) {
            const double angle = static_cast<double>(position) * static_cast<double>(frequency);
            table->cosines.push_back(static_cast<float>(std::cos(angle)) * magnitude);
            table->sines.push_back(static_cast<float>(std::sin(angle)) * magnitude);
        }
    return *tables_.emplace_back(std::move(table));
}

}  // namespace assay::backend::cpu
