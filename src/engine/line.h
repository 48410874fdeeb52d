// The hidden states of a model, or of a variant of it, on their way through a wave. Private to the engine.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "engine/spilled_rows.h"
#include "engine/variants.h"
#include "plan/plan.h"
#include "weights/sources.h"

namespace assay::engine {

/// The tables of Lookups as a line has them: of one that a variant rounds, only the rows that the wave uses.
class LookupTables {
  public:
    /// Asks the replacement, so that it must not be at work elsewhere. Borrows the wave.
    LookupTables(const plan::PassPlan& plan, const weights::Sources& sources,
                 weights::Replacement* replacement, const Wave& wave);

    /// out [rows, cols] for the rows of the group. The lookup is one of the program's.
    void embed(backend::Backend& backend, const model::Lookup& lookup, const PartRows& part,
               const Group& group, backend::View out) const;

  private:
    struct Rounded {
        std::vector<std::byte> bytes;
        backend::WeightSource source;
        std::vector<std::int32_t> rows;  ///< into it, by token of the wave
    };
    /// Rows of the table for all tokens of some chunks of the wave.
    std::vector<std::int32_t> table_rows(const model::Lookup& lookup, std::int64_t first_chunk,
                                         std::int64_t n_chunks) const;
    const weights::Sources& sources_;
    const Wave& wave_;
    std::map<const model::Lookup*, Rounded> rounded_;
};

/// plan::PassPlan and backend are borrowed.
struct Line {
    /// plan: the model's. variant: of the model itself an empty one.
    Line(const plan::PassPlan& plan, backend::Backend& backend, const Variant& variant, const Wave& wave);

    /// Whether the stage's matrices are its own; the number of stages: the output projection.
    bool has_weights(std::size_t stage) const { return changed.at(stage); }

    const plan::PassPlan& own_plan;  ///< of the file that its weights are in
    weights::Replacement* replacement;
    weights::Sources sources;
    LookupTables tables;
    std::vector<bool> changed;  ///< by stage, the output projection last
    std::size_t start = 0;      ///< the first stage that it goes through by itself
    bool living = false;
    std::vector<Rows2d> slots;
    std::vector<const SpilledRows*> spilled;  ///< of the slots
    backend::RoutingPtr routing;              ///< of the stage of experts under way
    std::vector<Rows2d> scored;               ///< by PassPlan::scorings(): operands of output projections
};

/// Room for a line's slots. spill_folder: empty, or where they go to disk.
void allocate_slots(Line& line, const plan::PassPlan& plan, backend::Backend& backend, std::int64_t n_rows,
                    const std::filesystem::path& spill_folder);

}  // namespace assay::engine
