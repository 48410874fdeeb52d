// A wave between two stages: begun there, or kept there.
#include "engine/wave_run.h"

namespace assay::engine {

void WaveRun::take_slots() {
    Line& line = lines_.front();
    line.start = wave_.start->stage;
    allocate_slots(line, plan_, backend_, n_rows_, placement_.spill_folder);
    for (const std::int32_t slot : plan_.live_slots(line.start)) {
        const backend::View& rows = line.slots[static_cast<std::size_t>(slot)].view;
        std::vector<std::byte> chunk(
            static_cast<std::size_t>(n_ctx_ * rows.cols * backend::size_of(rows.dtype)));
        for (std::int64_t i = 0; i < wave_.n_chunks; ++i) {
            wave_.start->rows(slot, wave_.first_chunk + i, chunk);
            backend_.replace(rows.at(i * n_ctx_, 0), chunk);
        }
    }
    pass_over_stages();
}

void WaveRun::pass_over_stages() {
    const ChunkRange chunks{wave_.first_chunk, wave_.n_chunks};
    for (std::size_t s = 0; s < wave_.start->stage; ++s)
        for (const plan::Instruction& instruction : plan_.stages()[s].instructions)
            if (!instruction.observed.empty()) observation_->pass_over(instruction.observed, chunks);
    for (const plan::Piece& piece : plan_.pieces())
        if (piece.stage < wave_.start->stage) pass_over_experts(piece);
}

void WaveRun::keep(std::size_t stage) {
    if (wave_.keeper == nullptr || !wave_.keeper->wants(stage)) return;
    delivery_->finish();
    const auto rows = [&](std::int32_t slot, const std::function<void(std::span<const std::byte>)>& out) {
        const backend::View& view = lines_.front().slots.at(static_cast<std::size_t>(slot)).view;
        std::vector<std::byte> chunk(
            static_cast<std::size_t>(n_ctx_ * view.cols * backend::size_of(view.dtype)));
        for (std::int64_t i = 0; i < wave_.n_chunks; ++i) {
            backend_.download(view.at(i * n_ctx_, 0), chunk);
            out(chunk);
        }
    };
    const WavePart part{{wave_.first_chunk, wave_.n_chunks}, rows};
    wave_.keeper->keep(stage, {&part, 1});
}

}  // namespace assay::engine
