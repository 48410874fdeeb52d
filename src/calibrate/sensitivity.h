// The sensitivity job: how much the model's predictions change when one part of it is rounded to a storage
// type. The model and all its variants pass through the layers together (engine::Pass::run_variants).
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "calibrate/job.h"
#include "gguf/file.h"
#include "model/program.h"
#include "perplexity/sensitivity.h"
#include "quant/type_table.h"

namespace assay::calibrate {

/// What is rounded at a time. Tensors outside the layers are units of their own.
enum class UnitBy { Layer, Kind, Tensor };
std::string to_string(UnitBy by);

struct SensitivityOptions {
    Options run;  ///< model, text, chunks and machine; what concerns matrices and saving has no effect
    UnitBy by = UnitBy::Layer;
    std::vector<quant::TypeId> types;  ///< each gives every unit a variant
    std::filesystem::path matrix;      ///< importance for the rounding; empty: without
};

/// A variant of the model.
struct RoundedUnit {
    std::string unit;
    quant::TypeId type;
    std::set<std::string> tensors;
    std::uint64_t weights = 0;
};

struct RoundingPlan {
    std::vector<RoundedUnit> units;                ///< by type, then in the model's order
    std::vector<perplexity::Unrounded> unrounded;  ///< whose rows are no multiple of a type's block
};

/// The weights that the pass multiplies with or looks up and that the quantisers touch. Throws Error{Usage}
/// for no type, for one that cannot be rounded to, and when nothing is left to round.
RoundingPlan plan_rounding(const gguf::File& model, const model::Program& program, UnitBy by,
                           const std::vector<quant::TypeId>& types);

struct SensitivityResult {
    perplexity::Sensitivity table;  ///< over the chunks done
    bool stopped = false;           ///< before the last chunk, on request
    std::int64_t tokens = 0;        ///< of the text that went through
    double seconds = 0;
};

/// The same bytes for any memory bound and number of threads. Throws Error, and Error{Numeric} when losses
/// are no numbers.
SensitivityResult run_sensitivity(const SensitivityOptions& options, Observer& observer);

}  // namespace assay::calibrate
