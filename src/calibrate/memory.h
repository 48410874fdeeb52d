// How much memory a run may use, and how large its waves can be.
#pragma once

#include <cstdint>
#include <optional>

namespace assay::calibrate {

/// What this process may take when no bound was given: most of what the system has available, and most of
/// what the control groups (version 1 and 2) it lives in leave it.
std::uint64_t default_memory_bound();

/// `asked` bytes, or for 0 the default.
std::uint64_t memory_bound(std::uint64_t asked_bytes);

/// What may be taken. With a device, weights and activations are in its memory, and the host's holds the file
/// and sums.
struct MemoryBounds {
    std::uint64_t host_bytes = 0;
    std::optional<std::uint64_t> device_bytes;
};

/// What a run needs, from engine::Pass.
struct MemoryNeeds {
    std::uint64_t file_bytes = 0;
    std::uint64_t weight_bytes = 0;      ///< prepared, at any one time
    std::uint64_t all_weight_bytes = 0;  ///< prepared, all of them
    std::uint64_t workspace_bytes = 0;
    std::uint64_t bytes_per_chunk = 0;
    std::uint64_t stream_bytes = 0;  ///< the host's, only where weights are streamed
    std::uint64_t host_bytes = 0;    ///< the host's, even with a device: sums
};

struct WaveRules {
    std::int64_t n_chunks = 0;
    /// Longest wave while the file stays in memory, so that output appears before the end.
    std::int64_t resident_chunks = 10;
    std::int64_t wave_chunks = 0;  ///< asked for; 0: as many as fit
    bool may_spill = false;        ///< states may go to disk
};

struct WavePlan {
    std::int64_t wave_chunks = 1;
    bool streamed = false;            ///< the file does not fit beside some chunks: each wave reads it again
    bool weights_kept = false;        ///< a device has room for all prepared weights
    std::uint64_t host_bytes = 0;     ///< expected peak
    std::uint64_t device_bytes = 0;   ///< expected peak
    std::uint64_t spilled_bytes = 0;  ///< of states, on disk
};

/// The largest wave for these bounds, at least one chunk. A streamed wave is as long as it can: all chunks
/// when they may be spilled and do not fit otherwise. Throws Error{Usage} when not even one chunk fits.
WavePlan plan_waves(const MemoryNeeds& needs, const MemoryBounds& bounds, const WaveRules& rules);

/// How a model and its variants go through the layers: each sweep reads all weights.
struct SweepPlan {
    std::int64_t wave_chunks = 1;
    std::int64_t variants = 1;  ///< of one sweep
    std::int64_t n_sweeps = 1;
    bool streamed = false;           ///< each sweep reads the file past the page cache
    std::uint64_t host_bytes = 0;    ///< expected peak
    std::uint64_t device_bytes = 0;  ///< expected peak
};

/// All variants together while one chunk of each fits, with as many chunks as fit; else one chunk with as
/// many variants as fit. `bytes_per_chunk` is that of the model and of each variant. Throws Error{Usage} when
/// not even one chunk of one variant fits.
SweepPlan plan_sweeps(const MemoryNeeds& needs, const MemoryBounds& bounds, std::int64_t n_chunks,
                      std::int64_t n_variants);

}  // namespace assay::calibrate
