#include "recipe/guide.h"

#include <algorithm>
#include <cmath>

namespace assay::recipe {

using quant::TypeId;

namespace {

/// With data, weight j counts importance_j * sqrt(times * mean + x_j^2), mean being the mean of x^2 over
/// `span` weights (0: the whole row). Without, by the formula named.
struct Habit {
    enum class Alone { Plain, Square, Magnitude, MagnitudeAndMean };
    bool spread = true;  ///< false: the importance alone
    std::size_t span = 0;
    float times = 1.0f;
    Alone alone = Alone::Plain;
};

Habit habit_of(TypeId type) {
    using Alone = Habit::Alone;
    switch (type) {
        case TypeId::IQ4_NL: return {true, 32, 2.0f, Alone::Square};
        case TypeId::IQ4_XS: return {true, 256, 2.0f, Alone::Square};
        case TypeId::Q2_K: return {true, 256, 1.0f, Alone::Magnitude};
        case TypeId::Q3_K: return {true, 256, 2.0f, Alone::Square};
        case TypeId::Q4_K:
        case TypeId::Q5_K: return {true, 256, 2.0f, Alone::MagnitudeAndMean};
        case TypeId::Q6_K: return {false, 0, 0.0f, Alone::Square};
        default: return {};
    }
}

float mean_square(std::span<const float> x) {
    double sum = 0.0;
    for (const float v : x) sum += static_cast<double>(v) * v;
    return static_cast<float>(sum / static_cast<double>(std::max<std::size_t>(1, x.size())));
}

const float* without_data(Habit::Alone alone, std::span<const float> row, std::vector<float>& guide) {
    constexpr std::size_t kSubBlock = 32;
    if (alone == Habit::Alone::Plain) return nullptr;
    for (std::size_t j = 0; j < row.size(); ++j) {
        const float size = std::fabs(row[j]);
        guide[j] = alone == Habit::Alone::Square ? size * size : size;
    }
    if (alone == Habit::Alone::MagnitudeAndMean)
        for (std::size_t first = 0; first < row.size(); first += kSubBlock) {
            const float mean = std::sqrt(mean_square(row.subspan(first, kSubBlock)));
            for (std::size_t j = first; j < first + kSubBlock; ++j) guide[j] += mean;
        }
    return guide.data();
}

}  // namespace

const float* quantiser_guide(TypeId type, std::span<const float> row, std::span<const float> importance,
                             std::vector<float>& guide) {
    if (type == TypeId::Q8_0 || quant::type_info(type).block == 1) return nullptr;
    const Habit habit = habit_of(type);
    guide.resize(row.size());
    if (importance.empty()) return without_data(habit.alone, row, guide);
    if (!habit.spread) return importance.data();
    const std::size_t span = habit.span == 0 ? row.size() : habit.span;
    for (std::size_t first = 0; first < row.size(); first += span) {
        const float base = habit.times * mean_square(row.subspan(first, span));
        for (std::size_t j = first; j < first + span; ++j)
            guide[j] = importance[j] * std::sqrt(base + row[j] * row[j]);
    }
    return guide.data();
}

}  // namespace assay::recipe
