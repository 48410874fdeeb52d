#include "calibrate/schedule.h"

#include <algorithm>

namespace assay::calibrate {

namespace {

/// The first multiple of `step` behind `from`; `otherwise` where there is no step.
std::int64_t next_multiple(std::int64_t from, std::int64_t step, std::int64_t otherwise) {
    return step > 0 ? (from / step + 1) * step : otherwise;
}

}  // namespace

WaveEnd next_wave(std::int64_t done, std::int64_t n_chunks, std::int64_t wave_chunks,
                  const SaveRules& rules) {
    const std::int64_t save = next_multiple(done, rules.save_every, n_chunks);
    std::int64_t end = std::min(done + wave_chunks, n_chunks);
    const std::int64_t before = rules.chunks_before;
    end = std::min(end, next_multiple(before + done, rules.snapshot_every, before + n_chunks) - before);
    if (rules.save_every_binding) end = std::min(end, save);
    WaveEnd wave;
    wave.chunks_done = end;
    wave.save = end == n_chunks || (rules.save_every > 0 && end >= save);
    wave.snapshot = rules.snapshot_every > 0 && (before + end) % rules.snapshot_every == 0;
    return wave;
}

std::vector<WaveEnd> schedule(std::int64_t n_chunks,
                              const std::function<std::int64_t(std::int64_t done)>& wave_chunks,
                              const SaveRules& rules) {
    std::vector<WaveEnd> ends;
    for (std::int64_t done = 0; done < n_chunks; done = ends.back().chunks_done)
        ends.push_back(next_wave(done, n_chunks, wave_chunks(done), rules));
    return ends;
}

}  // namespace assay::calibrate
