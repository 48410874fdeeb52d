#include "engine/observation.h"

#include <utility>

namespace assay::engine {

std::size_t Observation::Expected::plain_at() const noexcept {
    constexpr std::size_t kFloats = 64 / sizeof(float);
    return (floats_per_chunk() * static_cast<std::size_t>(chunks.count) + kFloats - 1) / kFloats * kFloats;
}

void Observation::Expected::tell(const Parcel& parcel, ActivationSink& sink) const {
    InputSums sums;
    sums.weights = weights;
    sums.chunk = chunks.first;
    sums.n_chunks = chunks.count;
    sums.width = width;
    sums.counts = counts;
    sums.add_to = [&](const backend::Totals& totals) {
        return parcel.landing->add_chunks(places(parcel), chunks.count, totals);
    };
    sums.first_matrix = first_matrix;
    sums.n_matrices = n_matrices;
    sink.on_input(sums);
}

backend::Sums Observation::add(Expected expected) {
    if (!wanted_) return {};
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
    return add(std::move(expected));
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
    return add(std::move(expected));
}

void Observation::deliver() {
    for (Pending& pending : pending_)
        delivery_.send(std::move(pending.parcel),
                       [expected = std::move(pending.expected)](const Parcel& parcel, ActivationSink& sink) {
                           expected.tell(parcel, sink);
                       });
    pending_.clear();
}

}  // namespace assay::engine
