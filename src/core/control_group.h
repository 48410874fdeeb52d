// Where the kernel says what the control groups of this process limit, versions 1 and 2.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace assay {

/// The folders of this process's group and of those above it, innermost first, that a controller of version 1
/// has ("memory", "cpu"), or, for an empty name, those of version 2. They need not exist: within a container
/// only the outermost may.
std::vector<std::filesystem::path> control_group_folders(std::string_view controller);

}  // namespace assay
