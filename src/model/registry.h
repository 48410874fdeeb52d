// Which architectures are known, and building the description of a file's model.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "model/spec.h"

namespace assay::model {

struct BuildOptions {
    std::int64_t n_ctx = 512;  ///< tokens of a chunk; some rotary scalings depend on it
};

/// Throws Error{Unsupported} for an unknown architecture, naming it and listing the known ones;
/// Error{BadFile} when tensors or metadata contradict each other.
ModelSpec build(const gguf::File& file, const BuildOptions& options);

/// Sorted names.
std::vector<std::string_view> known_architectures();

}  // namespace assay::model
