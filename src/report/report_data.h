// Everything that a report shows about one or more matrices, gathered before any of it is written.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "imatrix/matrix.h"
#include "perplexity/perplexity.h"
#include "similarity/similarity.h"
#include "stats/activation.h"
#include "stats/compare.h"
#include "stats/coverage.h"
#include "stats/distribution.h"
#include "stats/tensor_stats.h"

namespace assay::report {

/// One matrix and what is known about the run that made it. Only the first block is always there.
struct MatrixReport {
    std::string label;  ///< the file as the user named it
    std::vector<std::string> datasets;
    std::uint32_t chunk_size = 0;
    std::uint32_t chunk_count = 0;
    std::vector<stats::TensorStats> tensors;
    std::vector<stats::LayerStats> layers;
    std::vector<stats::ActivationStats> activations;
    std::vector<stats::Distribution> distributions;
    stats::Coverage coverage;

    std::string model;                           ///< name or path
    std::vector<perplexity::Sums> chunk_sums;    ///< one per chunk, in order: the running curve
    std::optional<perplexity::Sums> perplexity;  ///< totals; taken from chunk_sums where those are given
    std::optional<similarity::Similarity> similarity;
};

struct ReportData {
    std::string title = "Importance matrix";
    std::vector<MatrixReport> matrices;          ///< at least one
    std::vector<stats::Comparison> comparisons;  ///< of the first with each of the others, in order
    std::string recipe;                          ///< text as it is, may be empty
};

/// Fills the first block of a MatrixReport. `expected`: see stats::coverage.
MatrixReport describe(const imatrix::Matrix& matrix, std::string label,
                      std::span<const std::string> expected = {});

}  // namespace assay::report
