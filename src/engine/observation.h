// Sums of the inputs of observed products: places for operations to leave them, and names for the sink.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/delivery.h"

namespace assay::engine {

/// Hand out places with expect(), run the operations, then deliver(). The delivery is borrowed.
class Observation {
  public:
    /// Unless `wanted`, places are empty and nothing is delivered.
    Observation(Delivery& delivery, bool wanted) : delivery_(delivery), wanted_(wanted) {}

    /// Every row of every chunk counts what `rows` says. `weights` are those multiplied with this input.
    backend::Sums expect(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                         const backend::Rows& rows);

    /// Experts [first, first + count) of n_experts; rows as routed.
    backend::Sums expect_experts(std::vector<std::string> weights, std::int64_t width, ChunkRange chunks,
                                 std::int64_t first, std::int64_t count, std::int64_t n_experts,
                                 const backend::Routing& routing);

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
        std::vector<double> counts;  ///< [chunks, matrices]

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

    Delivery& delivery_;
    const bool wanted_;
    std::vector<Pending> pending_;
};

}  // namespace assay::engine
