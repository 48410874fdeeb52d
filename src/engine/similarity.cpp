#include "engine/similarity.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace assay::engine {

void compare_rows(backend::Backend& backend, ActivationSink& sink, Similarity kind, std::int64_t layer,
                  ChunkRange chunks, std::int64_t chunk_tokens, backend::View a, backend::View b) {
    std::vector<double> products(static_cast<std::size_t>(3 * a.rows));
    const auto bytes = std::as_writable_bytes(std::span(products));
    const backend::BufferPtr device = backend.allocate(bytes.size());
    backend.row_products(a, b, reinterpret_cast<double*>(device->data()));
    backend.download(device->data(), bytes);
    for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk) {
        SimilaritySums sums{kind, layer, chunks.first + chunk, chunk_tokens, 0, 0};
        for (std::int64_t row = chunk * chunk_tokens; row < (chunk + 1) * chunk_tokens; ++row) {
            const double* p = products.data() + 3 * row;
            if (p[0] > 0 && p[1] > 0) sums.cosine += p[2] / std::sqrt(p[0] * p[1]);
            if (p[0] > 0) sums.relative_change += std::sqrt(std::max(0.0, p[0] + p[1] - 2 * p[2]) / p[0]);
        }
        sink.on_similarity(sums);
    }
}

}  // namespace assay::engine
