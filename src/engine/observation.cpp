#include "engine/observation.h"

#include <algorithm>
#include <utility>

#include "engine/not_finite.h"

namespace assay::engine {

std::size_t Observation::Expected::plain_at() const noexcept {
    constexpr std::size_t kFloats = 64 / sizeof(float);
    return (floats_per_chunk() * static_cast<std::size_t>(chunks.count) + kFloats - 1) / kFloats * kFloats;
}

void Observation::Expected::add(const Parcel& parcel, ActivationSink& sink) const {
    InputSums sums;
    sums.weights = weights;
    sums.chunk = chunks.first;
    sums.n_chunks = chunks.count;
    sums.width = width;
    sums.counts = counts;
    sums.first_matrix = first_matrix;
    sums.n_matrices = n_matrices;
    sums.occurrence = occurrence;
    for (const backend::Totals& totals : sink.on_input(sums))
        if (const auto bad = parcel.landing->add_chunks(places(parcel), chunks.count, totals))
            throw NotFinite(chunks.first + *bad, weights.front(), "its input holds NaN or infinity",
                            "; the model file is broken or its architecture is not run as it was meant");
}

std::int64_t Observation::next_occurrence(const Expected& expected) {
    const auto seen = [&](const std::string& weight) -> std::vector<std::int64_t>& {
        return seen_[{weight, expected.first_matrix}];
    };
    std::size_t occurrence = 0;
    const auto taken = [&](const std::string& weight) {
        return occurrence < seen(weight).size() && seen(weight)[occurrence] > expected.chunks.first;
    };
    while (std::ranges::any_of(expected.weights, taken)) ++occurrence;
    for (const std::string& weight : expected.weights) {
        seen(weight).resize(std::max(seen(weight).size(), occurrence + 1));
        seen(weight)[occurrence] = expected.chunks.first + expected.chunks.count;
    }
    return static_cast<std::int64_t>(occurrence);
}

backend::Sums Observation::place(Expected expected) {
    if (!wanted_) return {};
    expected.occurrence = next_occurrence(expected);
    Parcel parcel = delivery_.parcel(expected.bytes());
    const backend::Sums sums = expected.places(parcel);
    pending_.push_back({std::move(expected), std::move(parcel)});
    return sums;
}

backend::Sums Observation::expect(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                                  std::int64_t chunk_tokens) {
    Expected expected;
    expected.weights = std::move(weights);
    expected.width = width;
    expected.chunks = chunks;
    expected.counts.assign(static_cast<std::size_t>(chunks.count), chunk_tokens);
    return place(std::move(expected));
}

backend::Sums Observation::expect_experts(std::vector<std::string> weights, std::int64_t width,
                                          ChunkRange chunks, std::int64_t first, std::int64_t count,
                                          std::int64_t n_experts, const backend::Routing& routing) {
    Expected expected;
    expected.weights = std::move(weights);
    expected.width = width;
    expected.chunks = chunks;
    expected.first_matrix = first;
    expected.matrices = count;
    expected.n_matrices = n_experts;
    for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk)
        for (std::int64_t e = first; e < first + count; ++e)
            expected.counts.push_back(routing.count(chunk, e));
    return place(std::move(expected));
}

void Observation::pass_over(std::vector<std::string> weights, ChunkRange chunks, std::int64_t first) {
    Expected expected;
    expected.weights = std::move(weights);
    expected.chunks = chunks;
    expected.first_matrix = first;
    next_occurrence(expected);
}

void Observation::deliver() {
    for (Pending& pending : pending_) {
        Expected& expected = pending.expected;
        Turn turn{{expected.weights.front(), expected.first_matrix, expected.occurrence}, expected.chunks};
        delivery_.send(std::move(turn), std::move(pending.parcel),
                       [expected = std::move(expected)](const Parcel& parcel, ActivationSink& sink) {
                           expected.add(parcel, sink);
                       });
    }
    pending_.clear();
}

}  // namespace assay::engine
