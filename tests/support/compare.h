// Reads and compares importance matrices without the program's own reader, so that a mistake there cannot
// hide itself. File layout: HACKING.md, "The matrix file".
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace assay::test {

/// One weight's entry. `counts` has one value, or one per expert; `sums` has counts.size() equal parts, in
/// the same order.
struct Energy {
    std::vector<double> sums;
    std::vector<double> counts;
};

/// By weight name ("blk.0.attn_q.weight").
using Matrix = std::map<std::string, Energy>;

/// The `.in_sum2` and `.counts` tensors of a GGUF matrix; other tensors are ignored. Throws Error{BadFile}
/// when one of a pair is missing or is no f32.
Matrix read_matrix(const std::filesystem::path& path);

/// What of an entry is compared.
enum class Measure {
    Column,  ///< the largest difference of a column, as a part of the mean column
    Energy,  ///< the sum of the columns' differences, as a part of the sum of the columns
};

/// How far two runs of one model over one text may lie apart.
struct Tolerance {
    /// Of energies per token. 1e-3 by column is what two correct f32 programs keep that add in different
    /// orders, a factor of ten to spare.
    double values = 1e-3;
    /// Of a count, as a part of the larger of itself and the entry's mean count. Routing is a comparison of
    /// nearly equal numbers, so a few tokens of a hundred may go to another expert.
    double counts = 0.01;
    Measure measure = Measure::Column;
};

/// One sentence per disagreement, empty when the matrices agree: names missing or unexpected, shapes,
/// counts, values. Matrices seen nothing by either side (count 0) are left out of the values.
std::vector<std::string> differences(const Matrix& mine, const Matrix& reference,
                                     const Tolerance& tolerance = {});

/// The largest |ln(mine / reference)| over running perplexities, divided by ln(reference) / 7 where that is
/// above 1: an error of the logits grows with their sharpness. Infinity when the lengths differ or a value
/// is not positive. Two correct f32 programs stay below 1e-4.
double perplexity_error(const std::vector<double>& mine, const std::vector<double>& reference);

}  // namespace assay::test
