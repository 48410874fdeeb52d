// A wave between two of its stages: how it is kept, and gone on with in another process.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "engine/activation_sink.h"

namespace assay::engine {

/// A wave that begins in the middle: with the slots that are live before `stage` (PassPlan::live_slots()) and
/// the sums of all stages before with the sink.
struct WaveStart {
    std::size_t stage = 0;
    /// Fills `to` with all rows of a slot that the run's chunk `chunk` has, as WavePart has them. Called from
    /// several threads where several devices share the wave.
    std::function<void(std::int32_t slot, std::int64_t chunk, std::span<std::byte> to)> rows;
};

/// The chunks of one pass, between two stages.
struct WavePart {
    ChunkRange chunks;
    std::int64_t n_rows = 0;
    /// Gives all rows of a slot, row-major without gaps, in pieces. Waits for the operations.
    std::function<void(std::int32_t slot, const std::function<void(std::span<const std::byte>)>& out)> rows;
};

/// Is asked between stages.
class WaveKeeper {
  public:
    virtual ~WaveKeeper() = default;
    /// Whether keep() is to be called before this stage. From any thread of the passes; once for each stage.
    virtual bool wants(std::size_t stage) = 0;
    /// All parts of the wave in chunk order, while no operation runs and the sink has all that the stages
    /// before have given. From any thread of the passes. What is thrown ends the wave.
    virtual void keep(std::size_t stage, std::span<const WavePart> parts) = 0;
};

}  // namespace assay::engine
