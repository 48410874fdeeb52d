// The hidden states of a model, or of a variant of it, on their way through a wave. Private to the engine.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/replacement.h"
#include "engine/rows.h"
#include "engine/spilled_rows.h"
#include "engine/weights.h"
#include "plan/plan.h"

namespace assay::engine {

/// Chunks of a wave from their token `ahead` on.
struct TokenRows {
    std::int64_t first_chunk = 0;  ///< within the wave
    std::int64_t n_chunks = 0;
    std::int64_t n_ctx = 0;
    std::int64_t ahead = 0;

    /// Their entries of something that has one for each token of the wave.
    std::vector<std::int32_t> of(std::span<const std::int32_t> wave) const;
};

/// The tables of Lookups as a line has them: of one that a variant rounds, only the rows that the wave uses.
class LookupTables {
  public:
    /// Asks the replacement, so that it must not be at work elsewhere. tokens: of the wave, whole chunks.
    LookupTables(const plan::PassPlan& plan, const WeightSources& sources, Replacement* replacement,
                 std::span<const std::int32_t> tokens);

    /// out [rows, cols] for the tokens of these rows. The lookup is one of the program's.
    void embed(backend::Backend& backend, const model::Lookup& lookup, const TokenRows& rows,
               backend::View out) const;

  private:
    struct Rounded {
        std::vector<std::byte> bytes;
        backend::WeightSource source;
        std::vector<std::int32_t> rows;  ///< into it, by token
    };
    const WeightSources& sources_;
    std::span<const std::int32_t> tokens_;
    std::int64_t n_ctx_;
    std::map<const model::Lookup*, Rounded> rounded_;
};

/// plan::PassPlan, backend and replacement are borrowed.
struct Line {
    Line(const plan::PassPlan& plan, backend::Backend& backend, Replacement* replacement_,
         std::span<const std::int32_t> tokens);

    /// Whether the stage's matrices are its own; the number of stages: the output projection.
    bool has_weights(std::size_t stage) const { return changed.at(stage); }

    Replacement* replacement;  ///< null: the model itself
    WeightSources sources;
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
