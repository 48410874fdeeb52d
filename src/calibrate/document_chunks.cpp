#include "calibrate/document_chunks.h"

#include <algorithm>

#include "core/error.h"

namespace assay::calibrate {

namespace {

using documents::Corpus;

void append(Chunks& chunks, const Corpus& corpus, const documents::Chunk& chunk, tokenizer::Token bos,
            const documents::RoleWeights& weights) {
    const std::vector<tokenizer::Token> ids = corpus.ids(chunk, bos);
    const std::vector<documents::Role> roles = corpus.roles(chunk);
    chunks.targets.insert(chunks.targets.end(), ids.begin(), ids.end());
    chunks.roles.insert(chunks.roles.end(), roles.begin(), roles.end());
    if (!weights.all_one())
        for (const documents::Role role : roles)
            chunks.weights.push_back(static_cast<float>(weights.of[index_of(role)]) /
                                     documents::RoleWeights::kOne);
    chunks.starts.push_back(std::ssize(chunks.targets));
}

}  // namespace

Chunks document_chunks(const gguf::Metadata& metadata, const tokenizer::Tokenizer& tokenizer,
                       const Options& options, Observer& observer) {
    const Corpus corpus = documents::make_corpus(options.text, options.dataset, metadata, tokenizer,
                                                 options.documents, options.parse_special, options.n_ctx);
    observer.on_documents(documents::describe(corpus));
    const std::int64_t n_all = std::ssize(corpus.chunks);
    if (options.skip_chunks >= n_all || options.max_chunks == 0)
        throw_error(ErrorKind::Usage, options.skip_chunks >= n_all ? "--chunk" : "--chunks",
                    "no chunk is left: the documents make {}", n_all);
    const std::int64_t n_left = n_all - options.skip_chunks;
    const std::int64_t n_chunks = options.max_chunks < 0 ? n_left : std::min(n_left, options.max_chunks);
    Chunks chunks;
    chunks.n_ctx = options.n_ctx;
    chunks.scored = engine::ScoredTokens::AllButFirst;
    chunks.starts.push_back(0);
    for (const documents::Document& document : corpus.documents) chunks.n_tokens += std::ssize(document.ids);
    for (std::int64_t i = 0; i < n_chunks; ++i)
        append(chunks, corpus, corpus.chunks[static_cast<std::size_t>(options.skip_chunks + i)],
               tokenizer.vocabulary().ids().bos, options.documents.weights);
    chunks.inputs = chunks.targets;
    chunks.documents = corpus.counts;
    return chunks;
}

}  // namespace assay::calibrate
