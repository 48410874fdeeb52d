// Which rows of its table a Lookup takes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/program.h"

namespace assay::model {

/// One for each token of a chunk.
std::vector<std::int32_t> table_rows(const Lookup& lookup, std::span<const std::int32_t> tokens);

}  // namespace assay::model
