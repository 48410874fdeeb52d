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

bool replaces_any(const weights::Replacement& replacement, const model::Stage& stage) {
    return std::ranges::any_of(stage.steps, [&](const model::Step& step) {
        return std::ranges::any_of(model::linears(step.operation), [&](const model::Linear* linear) {
            return replacement.replaces(linear->weight.name);
        });
    });
}

bool replaces_table(const weights::Replacement& replacement, const model::Stage& stage) {
    return std::ranges::any_of(stage.steps, [&](const model::Step& step) {
        const auto* lookup = std::get_if<model::Lookup>(&step.operation);
        return lookup != nullptr && replacement.replaces(lookup->table.name);
    });
}

}  // namespace

LookupTables::LookupTables(const plan::PassPlan& plan, const weights::Sources& sources,
                           weights::Replacement* replacement, const Wave& wave)
    : sources_(sources), wave_(wave) {
    if (replacement == nullptr) return;
    for (const plan::StagePlan& stage : plan.stages())
        for (const model::Step& step : stage.stage->steps) {
            const auto* lookup = std::get_if<model::Lookup>(&step.operation);
            if (lookup == nullptr || !replacement->replaces(lookup->table.name)) continue;
            backend::WeightSource source = sources.mapped(lookup->table);
            UsedRows used(source, table_rows(*lookup, 0, wave.n_chunks()));
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

std::vector<std::int32_t> LookupTables::table_rows(const model::Lookup& lookup, std::int64_t first_chunk,
                                                   std::int64_t n_chunks) const {
    std::vector<std::int32_t> rows;
    for (std::int64_t chunk = first_chunk; chunk < first_chunk + n_chunks; ++chunk) {
        const auto tokens = wave_.inputs.subspan(static_cast<std::size_t>(wave_.first_token(chunk)),
                                                 static_cast<std::size_t>(wave_.tokens_of(chunk)));
        const std::vector<std::int32_t> own = model::table_rows(lookup, tokens);
        rows.insert(rows.end(), own.begin(), own.end());
    }
    return rows;
}

void LookupTables::embed(backend::Backend& backend, const model::Lookup& lookup, const PartRows& part,
                         const Group& group, backend::View out) const {
    const std::int64_t n_chunks = group.chunks.count;
    if (const auto rounded = rounded_.find(&lookup); rounded != rounded_.end())
        return backend.embed(rounded->second.source,
                             part.of(rounded->second.rows, group.first_chunk, n_chunks), lookup.scale,
                             lookup.first, out);
    const std::vector<std::int32_t> rows = table_rows(lookup, group.first_chunk, n_chunks);
    backend.embed(sources_.mapped(lookup.table),
                  part.of(rows, group.first_chunk, n_chunks, group.first_chunk), lookup.scale, lookup.first,
                  out);
}

Line::Line(const plan::PassPlan& plan, backend::Backend& backend, const Variant& variant, const Wave& wave)
    : own_plan(variant.plan != nullptr ? *variant.plan : plan),
      replacement(variant.replacement),
      sources(own_plan, backend, replacement),
      tables(own_plan, sources, replacement, wave) {
    const std::size_t n_stages = plan.stages().size();
    changed.assign(n_stages + plan.projections().size(), false);
    if (&own_plan != &plan)
        for (const plan::Piece& piece : plan.pieces()) changed[piece.stage] = true;
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
