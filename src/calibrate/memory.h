// How much memory a run may use, and how large its waves can be.
#pragma once

#include <cstdint>

namespace assay::calibrate {

/// What this process may take when no bound was given: most of what the system has available, and most
/// all that the control groups (version 1 and 2) it lives in leave it.
std::uint64_t default_memory_bound();

/// What a run needs, from engine::Pass.
struct MemoryNeeds {
    std::uint64_t file_bytes = 0;
    std::uint64_t weight_bytes = 0;
    std::uint64_t stream_bytes = 0;  ///< only where weights are streamed
    std::uint64_t sums_bytes = 0;
    std::uint64_t workspace_bytes = 0;
    std::uint64_t bytes_per_chunk = 0;
};

struct WaveRules {
    std::int64_t n_chunks = 0;
    /// Longest wave while the file stays in memory, so that output appears as users of llama-imatrix know it.
    std::int64_t resident_chunks = 10;
    bool may_spill = false;  ///< states may go to disk
};

struct WavePlan {
    std::int64_t wave_chunks = 1;
    bool streamed = false;  ///< the file does not fit beside the rest: each wave reads it again
    std::uint64_t peak_bytes = 0;
    std::uint64_t spilled_bytes = 0;  ///< of states, on disk
};

/// The largest wave for this bound, at least one chunk. A streamed wave is as long as it can: all chunks when
/// they may be spilled and do not fit otherwise. Throws Error{Usage} when not even one chunk fits.
WavePlan plan_waves(const MemoryNeeds& needs, std::uint64_t bound_bytes, const WaveRules& rules);

}  // namespace assay::calibrate
