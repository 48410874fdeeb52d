// A recipe: a type for each tensor of a model, so that the error of its outputs is least within a size.
//
// What is minimised is the sum over tensors of  weight * error / energy  (errors.h): each product's error as
// a part of its own output, because a residual stream normalises scale away. A tensor inside a layer weighs
// by what its part of the layer adds to the stream (standing.h), 1 on average. The output projection (the
// token embedding where it serves as one) acts on the whole stream, to which each layer adds two parts, so it
// weighs 2 * layers. docs/recipes.md has the measurements behind this. Where a sensitivity run has measured
// divergences, these sums are scaled to them (sensitivity.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "gguf/file.h"
#include "imatrix/matrix.h"
#include "quant/type_table.h"
#include "recipe/rules.h"
#include "recipe/sensitivity.h"

namespace assay::recipe {

/// Rows of a tensor that are rounded unless all are asked for.
inline constexpr std::uint64_t kDefaultRows = 128;

struct Options {
    /// Exactly one of the two. Bits per weight count every tensor's data, as llama-quantize prints it; bytes
    /// are the whole file's.
    std::optional<double> target_bpw;
    std::optional<std::uint64_t> target_bytes;
    std::vector<Keep> keep;                 ///< the first that matches decides
    std::vector<quant::TypeId> types;       ///< to choose from; empty: default_types()
    std::uint64_t max_rows = kDefaultRows;  ///< per tensor; 0 rounds all
    /// Neighbouring blocks whose errors differ by no more than this factor less 1 share a type; 0: none do.
    double merge_tolerance = 0.0;
    std::vector<SensitivityFile> sensitivity;  ///< of this model
};

struct TensorChoice {
    std::string name;
    quant::TypeId type;
    std::uint64_t elements = 0;
    std::uint64_t bytes = 0;
    bool quantised = false;  ///< false: stays as stored
    bool has_data = false;
    bool kept = false;               ///< by a constraint
    std::optional<double> relative;  ///< error / energy; nothing where not measured
};

struct Recipe {
    std::vector<TensorChoice> tensors;  ///< in the model's order
    std::uint64_t elements = 0;
    std::uint64_t tensor_bytes = 0;
    std::uint64_t file_bytes = 0;    ///< tensors, padding, and the header of the source
    std::uint64_t budget_bytes = 0;  ///< for tensor data
    double error = 0.0;              ///< the sum that was minimised, of the measured tensors
    bool in_nats = false;            ///< that sum is a divergence, from a sensitivity run
    double bound = 0.0;              ///< no choice within the budget has a smaller sum
    std::vector<Rule> rules;         ///< for every quantised tensor without an option of its own
    std::optional<quant::TypeId> token_embedding_type;
    std::optional<quant::TypeId> output_type;
    quant::TypeId commonest = quant::TypeId::Q8_0;  ///< by bytes, of the quantised tensors
    bool requantises = false;                       ///< the source is quantised already
    std::vector<std::string> notes;

    double bpw() const noexcept;
    double gap() const noexcept { return error > 0.0 ? (error - bound) / error : 0.0; }
};

/// Reads the model tensor by tensor. Throws Error{Usage} when there is not exactly one positive target, when
/// it is below the smallest possible size (which is named), when a constraint matches no tensor or asks for a
/// type that cannot be written or that needs data where there is none; Error{BadFile} for a sensitivity of
/// tensors that the model has not; and as measure() does.
Recipe make_recipe(const gguf::File& model, const imatrix::Matrix& matrix, const Options& options,
                   ThreadPool& threads);

}  // namespace assay::recipe
