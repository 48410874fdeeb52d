// Sums on their way from operations to the sink: memory on the backend, one download per group of operations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/activation_sink.h"

namespace assay::engine {

/// Chunks [first, first + count) of the run.
struct ChunkRange {
    std::int64_t first = 0;
    std::int64_t count = 0;
};

/// Hand out places with expect(), run the operations, then deliver(). Backend and sink are borrowed.
class Observation {
  public:
    /// Unless `wanted`, places are empty and nothing is delivered.
    Observation(backend::Backend& backend, ActivationSink& sink, bool wanted)
        : backend_(backend), sink_(sink), wanted_(wanted) {}

    /// Every row of every chunk counts. `weights` are those multiplied with this input.
    backend::Sums expect(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                         std::int64_t chunk_tokens);

    /// Experts [first, first + count) of n_experts; rows as routed.
    backend::Sums expect_experts(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                                 std::int64_t first, std::int64_t count, std::int64_t n_experts,
                                 const backend::Routing& routing);

    /// Waits, downloads, and calls the sink chunk by chunk in the order of expect().
    void deliver();

  private:
    struct Expected {
        std::vector<std::string> weights;
        std::int64_t width = 0;
        ChunkRange chunks;
        std::int64_t first_matrix = 0;
        std::int64_t matrices = 1;
        std::int64_t n_matrices = 1;
        std::vector<std::int64_t> counts;  ///< [chunks, matrices]
        backend::BufferPtr squares;
        backend::BufferPtr plain;
    };
    backend::Sums add(Expected expected);
    backend::BufferPtr take_buffer(std::size_t bytes);

    backend::Backend& backend_;
    ActivationSink& sink_;
    const bool wanted_;
    std::vector<Expected> pending_;
    std::vector<backend::BufferPtr> free_;
    std::vector<float> host_squares_;
    std::vector<float> host_plain_;
};

}  // namespace assay::engine
