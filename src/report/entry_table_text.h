// The tables of `--show-statistics` as llama-imatrix prints them since October 2026.
#pragma once

#include <string>
#include <string_view>

#include "stats/entry_table.h"

namespace assay::report {

/// Both tables, without the second where blocks are missing; `path` as the user gave it.
std::string entry_table_text(std::string_view path, const stats::EntryTable& table);

}  // namespace assay::report
