// What --help and --version print.
#pragma once

#include <string>
#include <string_view>

namespace assay::cli {

/// The help of a command; the names are those of main.cpp's table.
std::string help_text(std::string_view command);
std::string version_text();

}  // namespace assay::cli
