#include "similarity/similarity.h"

#include <algorithm>
#include <cmath>

namespace assay::similarity {

void Similarity::add(Kind kind, int layer, const Sum& sum) {
    auto& sums = sums_[static_cast<std::size_t>(kind)];
    const auto index = static_cast<std::size_t>(layer);
    if (sums.size() <= index) sums.resize(index + 1);
    sums[index].cos.add(sum.cos);
    sums[index].relative_change.add(sum.relative_change);
    sums[index].count += sum.count;
}

void Similarity::add(const Similarity& other) {
    for (const Kind kind : kKinds)
        for (std::size_t layer = 0; layer < other.sums(kind).size(); ++layer)
            add(kind, static_cast<int>(layer), other.sums(kind)[layer]);
}

std::vector<Ranked> Similarity::finish(Kind kind) const {
    std::vector<Ranked> ranked;
    for (std::size_t i = 0; i < sums(kind).size(); ++i)
        if (const Sum& sum = sums(kind)[i]; sum.count > 0)
            ranked.push_back(
                {static_cast<int>(i), static_cast<float>(sum.cos.high / static_cast<double>(sum.count))});
    std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
        return std::abs(a.cos_sim) < std::abs(b.cos_sim);
    });
    return ranked;
}

}  // namespace assay::similarity
