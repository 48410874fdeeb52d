// The chunks of a run, from the rank that has read the text to the others.
#pragma once

#include <span>
#include <vector>

#include "calibrate/chunks.h"
#include "cluster/communicator.h"

namespace assay::calibrate {

/// Those that rank 0 has, on all. What only files are told (n_in_text, text, documents) stays there. Throws
/// as unpack_chunks().
Chunks share_chunks(Chunks chunks, cluster::Communicator& communicator);

/// What a pass and its losses go by: 8 bytes for each token, 4 more where it has a weight, 1 where it has a
/// role.
std::vector<std::byte> pack(const Chunks& chunks);
/// Throws Error{BadFile} for bytes that are no chunks, before anything is made as large as they say, and
/// Error{Internal} where the parts do not fit together.
Chunks unpack_chunks(std::span<const std::byte> bytes);

}  // namespace assay::calibrate
