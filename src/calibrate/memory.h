// How much memory a run may use, and how large its waves can be.
#pragma once

#include <cstdint>

namespace assay::calibrate {

/// Memory that this process could still take: what the system has available, bounded by control groups
/// (version 1 and 2) it lives in.
std::uint64_t available_memory();

/// What a pass needs, from engine::Pass.
struct MemoryNeeds {
    std::uint64_t file_bytes = 0;
    std::uint64_t weight_bytes = 0;
    std::uint64_t workspace_bytes = 0;
    std::uint64_t bytes_per_chunk = 0;
};

struct WavePlan {
    std::int64_t wave_chunks = 1;
    bool streamed = false;  ///< the file does not fit beside the rest: each wave reads it again
    std::uint64_t peak_bytes = 0;
};

/// The largest wave for this bound, at least one chunk. When the file stays in memory a wave is no longer
/// than `resident_chunks`, so that output appears as users of llama-imatrix know it; a streamed wave is as
/// long as it can. Throws Error{Usage} when not even one chunk fits.
WavePlan plan_waves(const MemoryNeeds& needs, std::uint64_t bound_bytes, std::int64_t n_chunks,
                    std::int64_t resident_chunks);

}  // namespace assay::calibrate
