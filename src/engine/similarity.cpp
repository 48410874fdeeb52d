#include "engine/similarity.h"

#include <algorithm>
#include <cmath>

namespace assay::engine {

namespace {

/// products [rows, 3]: a.a, b.b and a.b.
SimilaritySums sums_of(const double* products, std::int64_t rows) {
    SimilaritySums sums;
    sums.rows = rows;
    for (std::int64_t row = 0; row < rows; ++row) {
        const double* p = products + 3 * row;
        if (p[0] > 0 && p[1] > 0) sums.cosine += p[2] / std::sqrt(p[0] * p[1]);
        if (p[0] > 0) sums.relative_change += std::sqrt(std::max(0.0, p[0] + p[1] - 2 * p[2]) / p[0]);
    }
    return sums;
}

}  // namespace

void compare_rows(backend::Backend& backend, Delivery& delivery, SimilarityKind kind, std::int64_t layer,
                  const Group& group, backend::View a, backend::View b) {
    const std::size_t bytes = static_cast<std::size_t>(3 * a.rows) * sizeof(double);
    Parcel parcel = delivery.parcel(bytes);
    backend.row_products(a, b, reinterpret_cast<double*>(parcel.memory->data()));
    delivery.send(std::move(parcel), [=, rows = group.rows, chunks = group.chunks](const Parcel& received,
                                                                                   ActivationSink& sink) {
        const auto* products =
            reinterpret_cast<const double*>(received.landing->fetch(received.memory->data(), bytes).data());
        for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk) {
            SimilaritySums sums = sums_of(products + 3 * rows.first_row(chunk), rows.tokens(chunk));
            sums.kind = kind;
            sums.layer = layer;
            sums.chunk = chunks.first + chunk;
            sink.on_similarity(sums);
        }
    });
}

}  // namespace assay::engine
