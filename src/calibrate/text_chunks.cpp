#include "calibrate/text_chunks.h"

#include <algorithm>
#include <chrono>

#include "calibrate/document_chunks.h"
#include "core/content.h"
#include "core/error.h"
#include "core/fingerprint.h"
#include "core/text.h"

namespace assay::calibrate {

namespace {

/// Some models switch adapters on by tokens of their own (graniteswitch). Until one comes nothing is added to
/// the products, and what follows one is not computed here.
void refuse_adapters(const gguf::File& model, std::span<const std::int32_t> tokens,
                     const std::string& where) {
    const std::string architecture(model.metadata().find_string("general.architecture").value_or(""));
    const gguf::Integers* switches =
        model.metadata().find_integers(architecture + ".adapters.token_ids_activate");
    if (switches == nullptr) return;
    const gguf::Strings* texts = model.metadata().find_strings("tokenizer.ggml.tokens");
    for (const std::int32_t token : tokens)
        if (std::ranges::find(*switches, token) != switches->end())
            throw_error(ErrorKind::Unsupported, where,
                        "token {} ({}) switches an adapter of the model on, which is not computed; a text "
                        "without it, or without --parse-special, measures the model itself",
                        printable(texts->at(static_cast<std::size_t>(token))), token);
}

}  // namespace

Chunks make_chunks(std::vector<tokenizer::Token> tokens, const tokenizer::Vocabulary& vocabulary,
                   const Options& options) {
    const std::string where = options.dataset.empty() ? "text" : options.dataset;
    const auto total = static_cast<std::int64_t>(tokens.size());
    const std::int64_t n_ctx = options.n_ctx;
    const std::uint64_t text = fingerprint_of(std::as_bytes(std::span(tokens)));
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
    chunks.n_in_text = total / n_ctx;
    chunks.text = text;
    const std::int64_t n_chunks =
        options.max_chunks >= 0 ? std::min(left / n_ctx, options.max_chunks) : left / n_ctx;
    chunks.starts = equal_starts(n_chunks, n_ctx);
    tokens.resize(static_cast<std::size_t>(chunks.starts.back()));
    chunks.targets = std::move(tokens);
    chunks.inputs = chunks.targets;
    if (vocabulary.add_bos())
        for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk)
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
    const bool is_whole = form_of(options.text, options.dataset, options.documents) == documents::Form::Whole;
    Chunks chunks;
    std::vector<tokenizer::Token> tokens;
    if (is_whole)
        tokens =
            tokenizer->encode(options.text, {.add_special = true, .parse_special = options.parse_special});
    else
        chunks = document_chunks(model.metadata(), *tokenizer, options, observer);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    observer.on_tokenized(took.count());
    for (const std::string& warning : tokenizer->vocabulary().warnings()) observer.on_note(warning);
    for (const std::string& unread : gguf::describe_overrides(model.metadata()).unread)
        observer.on_note(unread);
    if (!is_whole) return chunks;
    for (const std::string& note : text_notes(options.text, tokens, tokenizer->vocabulary()))
        observer.on_note(note);
    if (!options.documents.weights.all_one() || !options.documents.chat_template.empty())
        observer.on_note(
            "--weights and --chat-template have no effect on a text without documents (README, "
            "conversations)");
    return make_chunks(std::move(tokens), tokenizer->vocabulary(), options);
}

Chunks chunks_of(const gguf::File& model, const Options& options, Observer& observer) {
    Chunks chunks = options.make_chunks ? options.make_chunks(model) : tokenize(model, options, observer);
    chunks.check();
    refuse_adapters(model, chunks.inputs, options.dataset.empty() ? "text" : options.dataset);
    return chunks;
}

}  // namespace assay::calibrate
