// A wave between two stages: begun there, or kept there.
#include "engine/wave_run.h"

namespace assay::engine {

void WaveRun::take_slots() {
    Line& line = lines_.front();
    line.start = wave_.start->stage;
    allocate_slots(line, plan_, backend_, n_rows_, placement_.spill_folder);
    for (const std::int32_t slot : plan_.live_slots(line.start)) {
        const backend::View& rows = line.slots[static_cast<std::size_t>(slot)].view;
        std::vector<std::byte> chunk;
        for (std::int64_t i = 0; i < wave_.n_chunks(); ++i) {
            chunk.resize(
                static_cast<std::size_t>(wave_.tokens_of(i) * rows.cols * backend::size_of(rows.dtype)));
            wave_.start->rows(slot, wave_.first_chunk + i, chunk);
            backend_.replace(rows.at(wave_.first_token(i), 0), chunk);
        }
    }
}

void WaveRun::keep(std::size_t stage) {
    if (wave_.keeper == nullptr || !wave_.keeper->wants(stage)) return;
    delivery_->finish();
    const auto rows = [&](std::int32_t slot, const std::function<void(std::span<const std::byte>)>& out) {
        const backend::View& view = lines_.front().slots.at(static_cast<std::size_t>(slot)).view;
        std::vector<std::byte> chunk;
        for (std::int64_t i = 0; i < wave_.n_chunks(); ++i) {
            chunk.resize(
                static_cast<std::size_t>(wave_.tokens_of(i) * view.cols * backend::size_of(view.dtype)));
            backend_.download(view.at(wave_.first_token(i), 0), chunk);
            out(chunk);
        }
    };
    const WavePart part{wave_.chunks(), n_rows_, rows};
    wave_.keeper->keep(stage, {&part, 1});
}

}  // namespace assay::engine
