// Sums of the inputs of observed products: places for operations to leave them, and names for the sink.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "engine/delivery.h"

namespace assay::engine {

/// Hand out places with expect(), run the operations, then deliver(). The delivery is borrowed. One object
/// for a wave: what it has seen of each weight tells a weight's inputs apart.
class Observation {
  public:
    /// Unless `wanted`, places are empty and nothing is delivered.
    Observation(Delivery& delivery, bool wanted) : delivery_(delivery), wanted_(wanted) {}

    /// Every row of every chunk counts. `weights` are those multiplied with this input.
    backend::Sums expect(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                         std::int64_t chunk_tokens);

    /// Experts [first, first + count) of n_experts; rows as routed.
    backend::Sums expect_experts(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                                 std::int64_t first, std::int64_t count, std::int64_t n_experts,
                                 const backend::Routing& routing);

    /// These inputs, of a stage that the wave does not go through here, have been told of before: those that
    /// follow of the same weights are other occurrences. first: of the experts' batch, otherwise 0.
    void pass_over(std::vector<std::string> weights, ChunkRange chunks, std::int64_t first = 0);

    /// Sends what the operations left: it is added where the sink says, in the order of expect(), while the
    /// operations that follow run. A sum that is not finite is an Error{Numeric} of the delivery.
    void deliver();

  private:
    struct Expected {
        std::vector<std::string> weights;
        std::int64_t width = 0;
        ChunkRange chunks;
        std::int64_t first_matrix = 0;
        std::int64_t matrices = 1;
        std::int64_t n_matrices = 1;
        std::int64_t occurrence = 0;
        std::vector<std::int64_t> counts;  ///< [chunks, matrices]

        std::size_t floats_per_chunk() const noexcept { return static_cast<std::size_t>(matrices * width); }
        /// Where the plain sums begin behind the squares of all chunks, in floats: aligned as buffers are.
        std::size_t plain_at() const noexcept;
        std::size_t bytes() const noexcept { return 2 * plain_at() * sizeof(float); }
        /// Squares, then plain sums, each [chunks, matrices, width].
        backend::Sums places(const Parcel& parcel) const noexcept {
            return {parcel.memory->f32(), parcel.memory->f32() + plain_at()};
        }
        void add(const Parcel& parcel, ActivationSink& sink) const;
    };
    struct Pending {
        Expected expected;
        Parcel parcel;
    };
    backend::Sums place(Expected expected);
    /// The first occurrence that these chunks do not have yet of any of the weights.
    std::int64_t next_occurrence(const Expected& expected);

    Delivery& delivery_;
    const bool wanted_;
    std::vector<Pending> pending_;
    /// By weight and first matrix: for each occurrence the chunk behind the last one.
    std::map<std::pair<std::string, std::int64_t>, std::vector<std::int64_t>> seen_;
};

}  // namespace assay::engine
