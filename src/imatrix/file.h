// Importance matrices on disk, in the two formats of the trade:
//   GGUF    per weight NAME the F32 tensors NAME.in_sum2 and NAME.counts (raw sums, raw counts), NAME.in_sum
//           where it is known, and NAME.stats (entry_stats.h); plus ours: keys under `assay.`, which other
//           readers ignore.
//   legacy  `.dat`: per weight the mean square of each column times a number of calls; no magic, no counts
//           per expert, no chunk size.
// Layouts as llama.cpp writes and reads them since August 2025, NAME.stats since October 2026.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/file.h"
#include "imatrix/matrix.h"

namespace assay::imatrix {

enum class Format {
    Gguf,
    /// Gguf without what came in October 2026: NAME.stats, imatrix.stats_schema, imatrix.n_layer_nextn.
    Gguf2025,
    /// Gguf, with every sum and count also at full width under `assay.exact.`, so that a run continued from
    /// this file ends with the same bytes as one that was never interrupted. About three times the size.
    GgufExact,
    Legacy,
};

/// Which llama-imatrix a file or a table is like: that of July 2025 to September 2026, or the one since.
enum class Form { Of2025, Of2026 };

/// The format asked for, or else by suffix: `.gguf` is Gguf in the given form, anything else Legacy.
Format format_for(const std::filesystem::path& path, std::optional<Format> asked, Form form = Form::Of2026);

struct LoadOptions {
    /// Tokens per chunk as the user says. A file that knows its own wins, with a note when they differ. A
    /// legacy file has none: its calls are weighted with this, or 512, and a note says so.
    std::optional<std::uint32_t> chunk_size = {};
    /// What the GGUF files that were loaded before say. A legacy file is taken for one of such chunks,
    /// whatever the user says.
    std::optional<std::uint32_t> earlier_chunk_size = {};
};

inline constexpr std::uint32_t kDefaultChunkSize = 512;

/// Reads either format; the content decides, not the name. Legacy values become sums (value * chunk size)
/// and calls become tokens, as other tools do it. Per-head counts of older GGUF files collapse to one.
/// Throws Error{Io}, and Error{BadFile} for anything that contradicts the format or itself: truncation,
/// lying lengths, mismatched shapes, NaN, negative energy.
Matrix load(const std::filesystem::path& path, const LoadOptions& options, Notes& notes);

/// The same from bytes; `where` names them.
Matrix parse(std::span<const std::byte> bytes, const std::string& where, const LoadOptions& options,
             Notes& notes);

/// The file, whose bytes are made of the matrix as they are written: it is borrowed until then. Notes tell of
/// partial data, of entries left out (legacy: no data at all; GGUF: a name whose tensors would exceed the 63
/// bytes that readers accept) and of columns that a legacy file cannot hold. Throws Error{Numeric} for a sum
/// that is not finite in F32, Error{Shape} for an entry whose lengths do not fit together or, in the legacy
/// format, exceed 2^31, and for a matrix without any count: no reader would take it, and it must not replace
/// a good one.
FileContent content(const Matrix& matrix, Format format, Notes& notes);

/// The bytes of content(), all at once. Throws as that.
std::vector<std::byte> serialise(const Matrix& matrix, Format format, Notes& notes);

/// Writes content() beside `path`, flushes and renames. Throws as that, and Error{Io}.
void save(const Matrix& matrix, const std::filesystem::path& path, Format format, Notes& notes);

}  // namespace assay::imatrix
