// Which rows of its table a Lookup takes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/program.h"

namespace assay::model {

/// One for each token; tokens are whole chunks of n_ctx.
std::vector<std::int32_t> table_rows(const Lookup& lookup, std::span<const std::int32_t> tokens,
                                     std::int64_t n_ctx);

}  // namespace assay::model
