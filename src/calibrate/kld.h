// The comparison job: how far quantised files of a model predict otherwise than its base file. All go through
// the layers together (engine::Pass::run_variants), each with its own weights; no logits are kept.
#pragma once

#include <filesystem>
#include <vector>

#include "calibrate/job.h"
#include "perplexity/comparison.h"

namespace assay::calibrate {

struct KldOptions {
    Options run;  ///< base file, text, chunks and machine; what concerns matrices and saving has no effect
    std::vector<std::filesystem::path> files;  ///< that are compared with it, at least one
};

struct KldResult {
    perplexity::Comparison table;  ///< over the chunks done
    bool stopped = false;          ///< before the last chunk, on request
    std::int64_t tokens = 0;       ///< of the text that went through
    double seconds = 0;
};

/// The same bytes for any memory bound and number of threads. Throws Error, Error{Usage} for a file that
/// holds another model (check_same_model()), and Error{Numeric} when losses are no numbers.
KldResult run_kld(const KldOptions& options, Observer& observer);

}  // namespace assay::calibrate
