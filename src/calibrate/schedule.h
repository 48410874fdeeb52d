// When a run saves: at whole chunks only, where waves end.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace assay::calibrate {

struct SaveRules {
    std::int64_t save_every = 10;     ///< 0: only at the end
    bool save_every_binding = false;  ///< waves must end at its multiples
    std::int64_t snapshot_every = 0;  ///< waves always end at its multiples
    std::int64_t chunks_before = 0;   ///< that the matrix held at the start; snapshots count them too
};

/// What happens after `chunks_done` chunks.
struct WaveEnd {
    std::int64_t chunks_done = 0;
    bool save = false;
    bool snapshot = false;
};

/// The wave that follows `done` chunks and has at most wave_chunks. The last one always saves.
WaveEnd next_wave(std::int64_t done, std::int64_t n_chunks, std::int64_t wave_chunks, const SaveRules& rules);

/// The ends of all waves of n_chunks chunks; wave_chunks(done): how many chunks fit in a wave behind so many.
std::vector<WaveEnd> schedule(std::int64_t n_chunks,
                              const std::function<std::int64_t(std::int64_t done)>& wave_chunks,
                              const SaveRules& rules);

}  // namespace assay::calibrate
