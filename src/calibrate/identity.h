// What makes two runs the same: everything that the bytes of the result follow from, item by item, so that a
// run is continued by none but its like, and the difference has a name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "calibrate/chunks.h"
#include "calibrate/job.h"
#include "gguf/file.h"

namespace assay::calibrate {

struct IdentityItem {
    std::string name;   ///< as the user knows it
    std::string value;  ///< numbers and words, or a fingerprint
};
using Identity = std::vector<IdentityItem>;

/// Size, header, and a few bytes of every tensor. Throws Error{Io}.
Identity identity_of_model(const gguf::File& file);

/// What is not here may differ: threads, devices of one kind, memory, waves, where and how often is saved.
/// Reads a few bytes of every tensor, all of the header and of the matrices that the run starts from. Throws
/// Error{Io}.
Identity identity_of(const Options& options, const gguf::File& file, const Chunks& chunks,
                     const backend::Backend& backend, std::int64_t wave_chunks);

/// What runs over different chunks of a text have in common where their results may be put together.
std::string run_fingerprint(const Options& options, const gguf::File& file, const Chunks& chunks,
                            const backend::Backend& backend);

/// "ITEM was VALUE, is VALUE now" for the first that differs; nothing when all are the same.
std::optional<std::string> difference(const Identity& before, const Identity& now);

/// Whether the matrix that a run starts from is the one that it writes.
bool starts_from_output(const Options& options);

}  // namespace assay::calibrate
