#include "engine/wave_run.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "engine/stage_run.h"

namespace assay::engine {

namespace {

/// The job made by a variant's sources, from the bytes that the model's own job before it has read.
weights::Job of_variant(weights::Job job, weights::Replacement& replacement) {
    job.reads.ranges.clear();
    job.reuses_reads = true;
    job.make = [make = std::move(job.make), &replacement](const gguf::TensorBytes& bytes) {
        weights::Unit unit = make(bytes);
        replacement.release();
        return unit;
    };
    return job;
}

weights::Unit empty_unit(const plan::PassPlan& plan) {
    std::size_t most = 1;
    for (const plan::StagePlan& stage : plan.stages()) most = std::max(most, stage.stage->steps.size());
    weights::Unit unit;
    unit.steps.resize(most);
    return unit;
}

}  // namespace

WaveRun::WaveRun(const plan::PassPlan& plan, backend::Backend& backend, const Placement& placement,
                 const Wave& wave, std::span<const Variant> variants)
    : plan_(plan),
      backend_(backend),
      placement_(placement),
      wave_(wave),
      n_rows_(wave.n_tokens()),
      nothing_(empty_unit(plan)) {
    for (std::int64_t ahead = 0; ahead <= std::ssize(plan.program().nextn); ++ahead)
        parts_.emplace_back(plan, backend, wave, ahead);
    lines_.emplace_back(plan, backend, Variant{}, wave);
    for (const Variant& variant : variants) lines_.emplace_back(plan, backend, variant, wave);
}

std::vector<weights::Job> WaveRun::jobs() const {
    std::vector<weights::Job> jobs;
    for (std::size_t p = 0; p < plan_.pieces().size(); ++p) {
        const std::size_t stage = plan_.pieces()[p].stage;
        if (stage < first_stage(wave_)) continue;
        for (const Line& line : lines_) {
            if (&line != &lines_.front() && !line.has_weights(stage)) continue;
            weights::Job job = line.sources.job(line.own_plan.pieces()[p]);
            jobs.push_back(line.replacement == nullptr ? std::move(job)
                                                       : of_variant(std::move(job), *line.replacement));
        }
    }
    return jobs;
}

std::vector<double> WaveRun::work() const {
    const std::size_t n_stages = plan_.stages().size();
    std::vector<double> work(n_stages + plan_.projections().size(), 0);
    for (const plan::Piece& piece : plan_.pieces()) {
        double bytes = 0;
        for (const gguf::TensorRange& range : piece.reads) bytes += static_cast<double>(range.size_bytes);
        if (piece.stage >= n_stages) {
            bytes /= 2;  // half of the positions are scored
        } else if (const auto* experts = plan_.stages()[piece.stage].stage->experts()) {
            bytes *=
                static_cast<double>(experts->router.n_used) / static_cast<double>(experts->router.n_experts);
        }
        const auto lines =
            std::ranges::count_if(lines_, [&](const Line& line) { return line.start <= piece.stage; });
        work[piece.stage] += bytes * static_cast<double>(lines);
    }
    return work;
}

backend::View WaveRun::slot(const Line& line, std::size_t stage, const model::Value& value) const {
    const auto index = static_cast<std::size_t>(plan_.slot_of(value.id));
    return line.slots.at(index)
        .view.row_range(0, part_of(stage).all.count())
        .col_range(value.first, value.cols);
}

/// Lines that begin at this stage take over what the model's has come to.
void WaveRun::start_lines(std::size_t stage) {
    for (Line& line : lines_) {
        if (line.start != stage || line.living) continue;
        allocate_slots(line, plan_, backend_, n_rows_, placement_.spill_folder);
        for (const std::int32_t live : plan_.live_slots(stage)) {
            const auto index = static_cast<std::size_t>(live);
            const backend::View from = lines_.front().slots[index].view;
            backend_.copy_heads(from, {.count = from.cols}, line.slots[index].view);
        }
    }
}

void WaveRun::run_groups(std::size_t stage, Line& line, const weights::Unit& unit) {
    const plan::StagePlan& planned = plan_.stages()[stage];
    for (const Group& group : part_of(stage).groups) {
        const std::int64_t next = group.first_row + group.rows.count();
        for (const SpilledRows* rows : line.spilled)
            rows->will_need(next, std::min(group.rows.count(), n_rows_ - next));
        StageRun run(plan_, planned, backend_, *delivery_, *observation_, unit, line, parts_, group,
                     *arena_.memory);
        run.run();
        if (planned.leaves.present() && plan_.options().losses)
            keep_scored(line, static_cast<std::size_t>(planned.ahead), group, run.plain(planned.leaves));
        observation_->deliver();
        for (const SpilledRows* rows : line.spilled) rows->write_back(group.first_row, group.rows.count());
    }
}

void WaveRun::run_stage(std::size_t stage, weights::Loader& loader) {
    start_lines(stage);
    if (plan_.stages()[stage].stage->experts() != nullptr) return run_experts(stage, loader);
    const bool has_piece =
        std::ranges::any_of(plan_.pieces(), [&](const plan::Piece& piece) { return piece.stage == stage; });
    with_units(stage, has_piece, loader,
               [&](Line& line, const weights::Unit& unit) { run_groups(stage, line, unit); });
}

void WaveRun::run(weights::Loader& loader, Delivery& delivery, const Progress& progress) {
    delivery_ = &delivery;
    observation_ = std::make_unique<Observation>(delivery, plan_.options().sums && wave_.forced == nullptr);
    forced_observation_ = std::make_unique<Observation>(delivery, wave_.forced != nullptr);
    std::int64_t widest = 64;
    for (const plan::StagePlan& stage : plan_.stages()) {
        widest = std::max(widest, stage.bytes_per_row);
        if (wave_.forced != nullptr && stage.stage->experts() != nullptr)
            widest = std::max(widest, stage.stage->steps.front().out.cols * 4);
    }
    std::int64_t most_rows = 1;
    for (const Group& group : parts_.front().groups) most_rows = std::max(most_rows, group.rows.count());
    arena_ = Rows2d::allocate(backend_, most_rows, widest / backend::size_of(backend::DType::F32),
                              backend::DType::F32);
    const std::vector<double> work_of = work();
    const double total = std::accumulate(work_of.begin(), work_of.end(), 0.0);
    const auto leaves = [](const plan::StagePlan& stage) { return stage.leaves.present(); };
    const auto head =
        static_cast<std::size_t>(std::ranges::find_if(plan_.stages(), leaves) - plan_.stages().begin());
    double done = 0;
    for (std::size_t s = 0; s < plan_.stages().size(); ++s) {
        done += work_of[s];
        if (s < first_stage(wave_)) continue;
        if (s == first_stage(wave_) && s > 0) take_slots();
        // Rows that are scored, and those of blocks that predict ahead, are in no slot.
        if (s > first_stage(wave_) && s <= head) keep(s);
        run_stage(s, loader);
        const std::int64_t layer = plan_.stages()[s].layer;
        if (layer >= 0 && s + 1 < plan_.stages().size() && plan_.stages()[s + 1].layer != layer)
            progress(layer + 1, total > 0 ? done / total : 0);
    }
    for (Line& line : lines_) line.slots.clear();
    if (!plan_.options().losses) return;
    for (std::size_t p = 0; p < plan_.projections().size(); ++p) {
        const double work = work_of[plan_.stages().size() + p];
        run_projection(p, loader, [&](double part) {
            progress(plan_.n_steps() - 1, total > 0 ? (done + part * work) / total : 0);
        });
        done += work;
    }
}

}  // namespace assay::engine
