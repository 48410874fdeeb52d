// Which chunks of which run a matrix holds, so that matrices of parts of a text make that of the whole, byte
// for byte. Of exact files only (imatrix::Format::GgufExact), under `assay.part.`:
//   run        string    fingerprint of what is the same in all runs whose parts fit together (identity.h)
//   n_chunks   integer   of the whole text
//   first, count         integers, a range of chunks each, from 0
//   constants  strings   entries that hold no sums: the same in all parts
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/collector.h"
#include "cluster/dealer.h"
#include "imatrix/matrix.h"

namespace assay::calibrate {

struct Part {
    std::string run;
    std::int64_t n_chunks = 0;
    cluster::DoneChunks chunks;
    std::vector<std::string> constants;
};

/// The number in the text, from 0, of the chunk behind `done` chunks from `first` on, those that were left
/// out (by their numbers from 1, rising) not counted.
std::int64_t next_chunk(std::int64_t first, std::int64_t done, const std::vector<std::int64_t>& skipped);

void store_part(const Part& part, gguf::Metadata& extra);
/// Nothing where the matrix does not say. Throws Error{BadFile} for keys that do not fit together.
std::optional<Part> find_part(const gguf::Metadata& extra);

/// Several matrices as one.
struct Merged {
    imatrix::Matrix matrix;
    std::optional<Part> part;  ///< where all are parts of one run
    Collected collected;       ///< of that: losses by chunk, and similarity; no sums
};

/// Adds matrices up (imatrix::merge()), one after another: `load` is called once for each. Where all are
/// parts of one run, the result is what one run over all their chunks would have saved; a note names chunks
/// that are missing. Chunks that several parts hold are Error{Usage}, or a note where `force` says so: they
/// count several times. Throws as imatrix::merge(), and what `load` throws.
Merged merge_matrices(const std::vector<std::filesystem::path>& paths,
                      const std::function<imatrix::Matrix(const std::filesystem::path&)>& load, bool force,
                      imatrix::Notes& notes);

/// Leaves only what a file that is not exact has.
void forget_part(Merged& merged);

}  // namespace assay::calibrate
