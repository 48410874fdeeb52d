#include "engine/line.h"

#include <algorithm>

#include "core/error.h"
#include "model/table_rows.h"
#include "model/visit.h"

namespace assay::engine {

namespace {

/// Some rows of a table as a table of its own; whole groups where rows lie together.
struct UsedRows {
    std::vector<std::byte> bytes;
    std::vector<std::int32_t> rows;  ///< indices into it
    std::int64_t n_rows = 0;

    UsedRows(const backend::WeightSource& table, std::vector<std::int32_t> wanted) : rows(std::move(wanted)) {
        const auto together = static_cast<std::int32_t>(table.type->group_rows);
        for (const std::int32_t row : rows)
            if (row < 0 || row >= table.n_out)
                throw_error(ErrorKind::BadFile, "embedding", "token id {} has no row, the table has {}", row,
                            table.n_out);
        std::vector<std::int32_t> used;
        for (const std::int32_t row : rows) used.push_back(row / together);
        std::ranges::sort(used);
        used.erase(std::unique(used.begin(), used.end()), used.end());
        const std::size_t group_bytes = table.bytes.size() / static_cast<std::size_t>(table.n_out / together);
        for (const std::int32_t group : used) {
            const auto own = table.bytes.subspan(static_cast<std::size_t>(group) * group_bytes, group_bytes);
            bytes.insert(bytes.end(), own.begin(), own.end());
        }
        for (std::int32_t& row : rows) {
            const auto place = std::ranges::lower_bound(used, row / together) - used.begin();
            row = static_cast<std::int32_t>(place) * together + row % together;
        }
        n_rows = static_cast<std::int64_t>(used.size()) * together;
    }
};

bool replaces_any(const Replacement& replacement, const model::Stage& stage) {
    return std::ranges::any_of(stage.steps, [&](const model::Step& step) {
        return std::ranges::any_of(model::linears(step.operation), [&](const model::Linear* linear) {
            return replacement.replaces(linear->weight.name);
        });
    });
}

bool replaces_table(const Replacement& replacement, const model::Stage& stage) {
    return std::ranges::any_of(stage.steps, [&](const model::Step& step) {
        const auto* lookup = std::get_if<model::Lookup>(&step.operation);
        return lookup != nullptr && replacement.replaces(lookup->table.name);
    });
}

}  // namespace

LookupTables::LookupTables(const plan::PassPlan& plan, const WeightSources& sources, Replacement* replacement,
                           std::span<const std::int32_t> tokens)
    : sources_(sources), tokens_(tokens), n_ctx_(plan.options().n_ctx) {
    if (replacement == nullptr) return;
    for (const plan::StagePlan& stage : plan.stages())
        for (const model::Step& step : stage.stage->steps) {
            const auto* lookup = std::get_if<model::Lookup>(&step.operation);
            if (lookup == nullptr || !replacement->replaces(lookup->table.name)) continue;
            backend::WeightSource source = sources.mapped(lookup->table);
            UsedRows used(source, model::table_rows(*lookup, tokens_, n_ctx_));
            source.bytes = used.bytes;
            source.n_out = used.n_rows;
            Rounded& rounded = rounded_[lookup];
            rounded.source = replacement->replace(lookup->table.name, 0, source);
            rounded.bytes.assign(rounded.source.bytes.begin(), rounded.source.bytes.end());
            rounded.source.bytes = rounded.bytes;
            rounded.rows = std::move(used.rows);
            replacement->release();
        }
}

void LookupTables::embed(backend::Backend& backend, const model::Lookup& lookup, const TokenRows& rows,
                         backend::View out) const {
    if (const auto rounded = rounded_.find(&lookup); rounded != rounded_.end())
        return backend.embed(rounded->second.source, rows.of(rounded->second.rows), lookup.scale,
                             lookup.first, out);
    const std::span<const std::int32_t> chunks =
        tokens_.subspan(static_cast<std::size_t>(rows.first_chunk * rows.n_ctx),
                        static_cast<std::size_t>(rows.n_chunks * rows.n_ctx));
    const TokenRows within{0, rows.n_chunks, rows.n_ctx, rows.ahead};
    backend.embed(sources_.mapped(lookup.table), within.of(model::table_rows(lookup, chunks, rows.n_ctx)),
                  lookup.scale, lookup.first, out);
}

std::vector<std::int32_t> TokenRows::of(std::span<const std::int32_t> wave) const {
    std::vector<std::int32_t> found;
    for (std::int64_t chunk = first_chunk; chunk < first_chunk + n_chunks; ++chunk) {
        const auto tokens = wave.subspan(static_cast<std::size_t>(chunk * n_ctx + ahead),
                                         static_cast<std::size_t>(n_ctx - ahead));
        found.insert(found.end(), tokens.begin(), tokens.end());
    }
    return found;
}

Line::Line(const plan::PassPlan& plan, backend::Backend& backend, Replacement* replacement_,
           std::span<const std::int32_t> tokens)
    : replacement(replacement_),
      sources(plan, backend, replacement_),
      tables(plan, sources, replacement_, tokens) {
    const std::size_t n_stages = plan.stages().size();
    changed.assign(n_stages + plan.projections().size(), false);
    if (replacement == nullptr) return;
    start = n_stages;
    for (std::size_t s = n_stages; s-- > 0;) {
        const model::Stage& stage = *plan.stages()[s].stage;
        changed[s] = replaces_any(*replacement, stage);
        if (changed[s] || replaces_table(*replacement, stage)) start = s;
    }
    for (std::size_t p = 0; p < plan.projections().size(); ++p)
        changed[n_stages + p] = replacement->replaces(plan.projections()[p]->linear.weight.name);
}

void allocate_slots(Line& line, const plan::PassPlan& plan, backend::Backend& backend, std::int64_t n_rows,
                    const std::filesystem::path& spill_folder) {
    for (const plan::Slot& slot : plan.slots()) {
        if (spill_folder.empty()) {
            line.slots.push_back(Rows2d::allocate(backend, n_rows, slot.cols, slot.type));
            continue;
        }
        auto memory =
            std::make_unique<SpilledRows>(spill_folder, n_rows, slot.cols * backend::size_of(slot.type));
        line.spilled.push_back(memory.get());
        line.slots.push_back(Rows2d::of(std::move(memory), n_rows, slot.cols, slot.type));
    }
    line.living = true;
}

}  // namespace assay::engine
