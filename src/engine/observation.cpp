#include "engine/observation.h"

#include <algorithm>

namespace assay::engine {

backend::BufferPtr Observation::take_buffer(std::size_t bytes) {
    const auto fits = [bytes](const backend::BufferPtr& buffer) { return buffer->size_bytes() >= bytes; };
    const auto found = std::ranges::find_if(free_, fits);
    if (found == free_.end()) return backend_.allocate(bytes);
    backend::BufferPtr buffer = std::move(*found);
    free_.erase(found);
    return buffer;
}

backend::Sums Observation::add(Expected expected) {
    if (!wanted_) return {};
    const auto bytes =
        static_cast<std::size_t>(expected.chunks.count * expected.matrices * expected.width) * sizeof(float);
    expected.squares = take_buffer(bytes);
    expected.plain = take_buffer(bytes);
    const backend::Sums sums{expected.squares->f32(), expected.plain->f32()};
    pending_.push_back(std::move(expected));
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
    for (Expected& expected : pending_) {
        const auto per_chunk = static_cast<std::size_t>(expected.matrices * expected.width);
        const std::size_t total = per_chunk * static_cast<std::size_t>(expected.chunks.count);
        host_squares_.resize(total);
        host_plain_.resize(total);
        backend_.download(expected.squares->data(), std::as_writable_bytes(std::span(host_squares_)));
        backend_.download(expected.plain->data(), std::as_writable_bytes(std::span(host_plain_)));
        for (std::int64_t chunk = 0; chunk < expected.chunks.count; ++chunk) {
            const auto at = static_cast<std::size_t>(chunk) * per_chunk;
            InputSums sums;
            sums.weights = expected.weights;
            sums.chunk = expected.chunks.first + chunk;
            sums.width = expected.width;
            sums.squares = std::span(host_squares_).subspan(at, per_chunk);
            sums.plain = std::span(host_plain_).subspan(at, per_chunk);
            sums.counts = std::span(expected.counts)
                              .subspan(static_cast<std::size_t>(chunk * expected.matrices),
                                       static_cast<std::size_t>(expected.matrices));
            sums.first_matrix = expected.first_matrix;
            sums.n_matrices = expected.n_matrices;
            sink_.on_input(sums);
        }
        free_.push_back(std::move(expected.squares));
        free_.push_back(std::move(expected.plain));
    }
    pending_.clear();
}

}  // namespace assay::engine
