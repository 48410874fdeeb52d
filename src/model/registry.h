// Which architectures are known, and building the program of a file's model.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "model/builder.h"

namespace assay::model {

/// Throws Error{Unsupported} for an unknown architecture, naming it and listing the known ones;
/// Error{BadFile} when tensors or metadata contradict each other.
Program build(const gguf::File& file, const BuildOptions& options);

/// Sorted names.
std::vector<std::string_view> known_architectures();

}  // namespace assay::model
