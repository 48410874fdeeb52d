// Measured divergences in place of guessed weights. A sensitivity run rounds one unit of a model at a time (a
// layer, a kind of tensor, or a single one) and measures KL(model || rounded). Here each tensor's guess, its
// relative error times its weight, is scaled so that the guesses of a unit's tensors add up to what was
// measured of the unit.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "quant/type_table.h"

namespace assay::recipe {

struct MeasuredUnit {
    std::string unit;
    quant::TypeId type;
    std::vector<std::string> tensors;
    double divergence = 0.0;  ///< nats
    double error = 0.0;       ///< one standard error
};

/// The units of one run.
struct SensitivityFile {
    std::string where;
    std::vector<MeasuredUnit> units;
};

/// What `assay sensitivity -o` wrote. Throws Error{Io}, and Error{BadFile} for anything else or a figure that
/// is no number.
SensitivityFile read_sensitivity(const std::filesystem::path& path);

/// What a tensor was guessed to cost in a type that was measured.
using Guess = std::function<double(const std::string& tensor, quant::TypeId type)>;

/// Factors that turn guesses into divergences.
class FittedScale {
  public:
    /// With several files (one by layer, one by kind) a tensor belongs to several units: their sums are met
    /// in turns until they hold together (iterative proportional fitting, Deming and Stephan 1940). A unit
    /// whose divergence drowns in its error counts with the error.
    FittedScale(std::span<const SensitivityFile> files, const Guess& guess);

    /// Of a type that was measured by its own units; of others by all types of a unit together; of tensors in
    /// no unit by everything that was measured.
    double of(const std::string& tensor, quant::TypeId type) const;

  private:
    using Scales = std::map<std::string, double>;
    std::map<quant::TypeId, Scales> of_type_;
    Scales of_all_;
    double otherwise_ = 1.0;
};

}  // namespace assay::recipe
