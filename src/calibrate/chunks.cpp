#include "calibrate/chunks.h"

#include <algorithm>
#include <chrono>

#include "core/content.h"
#include "core/error.h"

namespace assay::calibrate {

namespace {

std::span<const std::int32_t> range(const std::vector<std::int32_t>& tokens, std::int64_t first,
                                    std::int64_t count, std::int64_t n_ctx) {
    return std::span(tokens).subspan(static_cast<std::size_t>(first * n_ctx),
                                     static_cast<std::size_t>(count * n_ctx));
}

}  // namespace

std::span<const std::int32_t> Chunks::input_range(std::int64_t first, std::int64_t count) const {
    return range(inputs, first, count, n_ctx);
}

std::span<const std::int32_t> Chunks::target_range(std::int64_t first, std::int64_t count) const {
    return range(targets, first, count, n_ctx);
}

void Chunks::leave_out(std::int64_t chunk) {
    for (auto* tokens : {&inputs, &targets}) {
        const auto first = tokens->begin() + static_cast<std::ptrdiff_t>(chunk * n_ctx);
        tokens->erase(first, first + static_cast<std::ptrdiff_t>(n_ctx));
    }
    --n_chunks;
}

Chunks make_chunks(std::vector<tokenizer::Token> tokens, const tokenizer::Vocabulary& vocabulary,
                   const Options& options) {
    const std::string where = options.dataset.empty() ? "text" : options.dataset;
    const auto total = static_cast<std::int64_t>(tokens.size());
    const std::int64_t n_ctx = options.n_ctx;
    if (options.skip_chunks > 0) {
        if (options.skip_chunks + 2 >= total / n_ctx + (total % n_ctx != 0))
            throw_error(ErrorKind::Usage, where,
                        "there will be not enough tokens left after removing {} chunks: it has {} tokens, {} "
                        "to a chunk",
                        options.skip_chunks, total, n_ctx);
        tokens.erase(tokens.begin(),
                     tokens.begin() + static_cast<std::ptrdiff_t>(options.skip_chunks * n_ctx));
    }
    const auto left = static_cast<std::int64_t>(tokens.size());
    if (left / 2 < n_ctx)
        throw_error(
            ErrorKind::Usage, where,
            "you need at least {} tokens for a context of {} tokens; the data file you provided tokenizes to "
            "only {} tokens",
            2 * n_ctx, n_ctx, left);
    Chunks chunks;
    chunks.n_ctx = n_ctx;
    chunks.n_tokens = total;
    chunks.n_chunks = left / n_ctx;
    if (options.max_chunks >= 0) chunks.n_chunks = std::min(chunks.n_chunks, options.max_chunks);
    tokens.resize(static_cast<std::size_t>(chunks.n_chunks * n_ctx));
    chunks.targets = std::move(tokens);
    chunks.inputs = chunks.targets;
    if (vocabulary.add_bos())
        for (std::int64_t chunk = 0; chunk < chunks.n_chunks; ++chunk)
            chunks.inputs[static_cast<std::size_t>(chunk * n_ctx)] = vocabulary.ids().bos;
    return chunks;
}

std::vector<std::string> text_notes(std::string_view text, std::span<const tokenizer::Token> ids,
                                    const tokenizer::Vocabulary& vocabulary) {
    std::vector<std::string> notes;
    const Content content = recognise(std::as_bytes(std::span(text)));
    if (!text.empty() && !content.name.empty() && !content.is_text)
        notes.push_back(
            fmt::format("the text looks like {}; it is taken for UTF-8 text as it is", content.name));
    const auto twice = [&](bool added, tokenizer::Token id, std::size_t at, std::size_t beside,
                           std::string_view words) {
        if (added && ids.size() >= 2 && ids[at] == id && ids[beside] == id)
            notes.push_back(fmt::format(
                "the text {} {} ({}), which the model's tokenizer adds there anyway: it is there twice",
                words, vocabulary.text(id), id));
    };
    twice(vocabulary.add_bos(), vocabulary.ids().bos, 0, 1, "begins with the BOS token");
    twice(vocabulary.add_eos(), vocabulary.ids().eos, ids.size() - 1, ids.size() - 2,
          "ends with the EOS token");
    return notes;
}

Chunks tokenize(const gguf::File& model, const Options& options, Observer& observer) {
    observer.on_tokenizing();
    const auto start = std::chrono::steady_clock::now();
    const auto tokenizer = tokenizer::make_tokenizer(model.metadata());
    auto tokens =
        tokenizer->encode(options.text, {.add_special = true, .parse_special = options.parse_special});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    observer.on_tokenized(took.count());
    for (const std::string& warning : tokenizer->vocabulary().warnings()) observer.on_note(warning);
    for (const std::string& note : text_notes(options.text, tokens, tokenizer->vocabulary()))
        observer.on_note(note);
    for (const std::string& unread : gguf::describe_overrides(model.metadata()).unread)
        observer.on_note(unread);
    return make_chunks(std::move(tokens), tokenizer->vocabulary(), options);
}

}  // namespace assay::calibrate
