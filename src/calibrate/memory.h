// How much memory a run may use, and how large its waves can be.
#pragma once

#include <cstdint>
#include <optional>

namespace assay::calibrate {

/// Memory that this process could still take: what the system has available, bounded by control groups
/// (version 1 and 2) it lives in.
std::uint64_t available_memory();

/// What may be taken. With a device, weights and activations are in its memory and the host's holds the file
/// alone.
struct MemoryBounds {
    std::uint64_t host_bytes = 0;
    std::optional<std::uint64_t> device_bytes;
};

/// What a pass needs, from engine::Pass.
struct MemoryNeeds {
    std::uint64_t file_bytes = 0;
    std::uint64_t weight_bytes = 0;
    std::uint64_t workspace_bytes = 0;
    std::uint64_t bytes_per_chunk = 0;
    std::uint64_t host_bytes = 0;  ///< in the host's memory even with a device: sums that arrive or wait
};

struct WavePlan {
    std::int64_t wave_chunks = 1;
    bool streamed = false;         ///< the file does not fit beside the rest: each wave reads it again
    std::uint64_t host_bytes = 0;  ///< expected peak
    std::uint64_t device_bytes = 0;
};

/// The largest wave for these bounds, at least one chunk. When the file stays in memory a wave is no longer
/// than `resident_chunks`, so that output appears before the end; a streamed wave is as long as it can.
/// Throws Error{Usage} when not even one chunk fits.
WavePlan plan_waves(const MemoryNeeds& needs, const MemoryBounds& bounds, std::int64_t n_chunks,
                    std::int64_t resident_chunks);

/// The plan for waves of just so many chunks.
WavePlan plan_fixed_waves(const MemoryNeeds& needs, const MemoryBounds& bounds, std::int64_t wave_chunks);

}  // namespace assay::calibrate
