#include "engine/observation.h"

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
    sums.chunks = chunks;
    sums.width = width;
    sums.counts = counts;
    sums.first_matrix = first_matrix;
    sums.n_matrices = n_matrices;
    if (const auto bad = parcel.landing->add_chunks(places(parcel), chunks.count, sink.on_input(sums)))
        throw NotFinite(chunks.first + *bad, weights.front(), "its input holds NaN or infinity",
                        "; the model file is broken or its architecture is not run as it was meant");
}

backend::Sums Observation::place(Expected expected) {
    if (!wanted_) return {};
    Parcel parcel = delivery_.parcel(expected.bytes());
    const backend::Sums sums = expected.places(parcel);
    pending_.push_back({std::move(expected), std::move(parcel)});
    return sums;
}

backend::Sums Observation::expect(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                                  const backend::Rows& rows) {
    Expected expected;
    expected.weights = std::move(weights);
    expected.width = width;
    expected.chunks = chunks;
    for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk) expected.counts.push_back(rows.weight(chunk));
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

void Observation::deliver() {
    for (Pending& pending : pending_) {
        Expected& expected = pending.expected;
        delivery_.send(std::move(pending.parcel),
                       [expected = std::move(expected)](const Parcel& parcel, ActivationSink& sink) {
                           expected.add(parcel, sink);
                       });
    }
    pending_.clear();
}

}  // namespace assay::engine
