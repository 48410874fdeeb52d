// From a text that holds documents to the chunks that a model sees: one a document, or several where it is
// too long.
#pragma once

#include "calibrate/chunks.h"
#include "calibrate/job.h"
#include "gguf/metadata.h"
#include "tokenizer/tokenizer.h"

namespace assay::calibrate {

/// Chunks of options.text, which is no Form::Whole, each with who says its tokens, and with their weights
/// where options.documents.weights are not all 1. Skips options.skip_chunks and keeps at most
/// options.max_chunks. Throws Error as documents::make_corpus() does, and Error{Usage} where nothing is left.
Chunks document_chunks(const gguf::Metadata& metadata, const tokenizer::Tokenizer& tokenizer,
                       const Options& options, Observer& observer);

}  // namespace assay::calibrate
