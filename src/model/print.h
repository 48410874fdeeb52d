// A program as text: the first thing that a reader of a new architecture looks at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/program.h"

namespace assay::model {

/// One step a line: its result with its columns, the operation, what it reads; below it tensors with their
/// shapes (row-major) and, of those that are observed, the columns whose sums the matrix has. blk.N stands
/// for the layer's number. Layers that differ in nothing but their number are there once. Names are made
/// printable. With `layer`, which must exist, only that one and those like it are named.
std::string to_text(const Program& program, std::optional<std::int64_t> layer = {});

/// The same for comparing what two files of a model compute: with every computed number, without the model's
/// name and the factors of products, which depend on how weights are stored.
std::string computation_text(const Program& program);

}  // namespace assay::model
