#include "documents/corpus.h"

#include <algorithm>
#include <memory>
#include <unordered_set>

#include "core/error.h"
#include "core/file.h"
#include "core/fingerprint.h"

namespace assay::documents {

namespace {

constexpr std::int64_t kShortestContext = 4;

class Builder {
  public:
    Builder(std::string_view name, const gguf::Metadata& metadata, const tokenizer::Tokenizer& tokenizer,
            const Options& options, bool parse_special, std::int64_t n_ctx)
        : name_(name.empty() ? "text" : name),
          metadata_(metadata),
          tokenizer_(tokenizer),
          options_(options),
          parse_special_(parse_special),
          n_ctx_(static_cast<std::size_t>(n_ctx)) {}

    Corpus build(Form form, std::string_view text) {
        corpus_.form = form;
        for (const Source& source : form == Form::Split ? split_text(text, options_.split_on, name_)
                                                        : read_json_lines(text, name_)) {
            ++corpus_.counts.documents;
            if (auto document = tokenize(source)) add(std::move(*document), source.number);
        }
        if (corpus_.chunks.empty()) nothing_left();
        return std::move(corpus_);
    }

  private:
    std::optional<Document> tokenize(const Source& source) {
        Counts& counts = corpus_.counts;
        if (const auto* parts = std::get_if<std::vector<Part>>(&source.content))
            return tokenize_parts(tokenizer_, *parts, parse_special_, counts.written);
        const auto& conversation = std::get<Conversation>(source.content);
        ++counts.conversations;
        Rendered rendered = render(conversation, false, source.number);
        if (!rendered.refusal.empty()) {
            if (counts.refused++ == 0) {
                counts.refused_line = source.number;
                counts.refusal = rendered.refusal;
            }
            return std::nullopt;
        }
        WrittenMarks written;
        Document document = tokenize_rendered(tokenizer_, conversation, rendered, parse_special_, written);
        if (document.ids.size() > n_ctx_) {
            rendered = render(conversation, true, source.number);
            written.clear();
            document = tokenize_rendered(tokenizer_, conversation, rendered, parse_special_, written);
        }
        for (const auto& [mark, n] : written) counts.written[mark] += n;
        counts.speakers_unknown += document.roles_known ? 0 : 1;
        counts.dated = counts.dated || rendered.dated;
        return document;
    }

    Rendered render(const Conversation& conversation, bool with_ends, std::int64_t number) {
        if (renderer_ == nullptr) renderer_ = std::make_unique<Renderer>(templates(number), options_.render);
        return renderer_->render(conversation, with_ends, fmt::format("{}, line {}", name_, number));
    }

    Templates templates(std::int64_t number) const {
        Templates templates = templates_of(metadata_);
        if (!options_.chat_template.empty()) {
            templates.texts = {{"default", read_file(options_.chat_template)}};
            templates.where = options_.chat_template.string();
        }
        if (!templates.texts.contains("default"))
            throw_error(ErrorKind::Unsupported, name_,
                        "line {} is a conversation, and the model has no chat template "
                        "(tokenizer.chat_template); --chat-template FILE gives one",
                        number);
        return templates;
    }

    void add(Document document, std::int64_t number) {
        Counts& counts = corpus_.counts;
        if (document.ids.size() < 2) {
            ++counts.short_ones;
            return;
        }
        document.number = number;
        if (!seen_.insert(fingerprint_of(std::as_bytes(std::span(document.ids)))).second) ++counts.duplicates;
        // A piece begins as the document does.
        const tokenizer::Token bos = tokenizer_.vocabulary().ids().bos;
        const bool with_bos = bos != tokenizer::kNoToken && document.ids.front() == bos;
        const auto pieces = cut(document.ids.size(), document.starts, n_ctx_, n_ctx_ - (with_bos ? 1 : 0));
        for (const Piece& piece : pieces)
            corpus_.chunks.push_back({corpus_.documents.size(), piece, with_bos && piece.first > 0});
        if (pieces.size() > 1) {
            ++counts.cut;
            counts.pieces += std::ssize(pieces);
            const bool within = std::any_of(pieces.begin() + 1, pieces.end(), [&](const Piece& piece) {
                return !std::ranges::binary_search(document.starts, piece.first);
            });
            counts.cut_within += within ? 1 : 0;
        }
        corpus_.documents.push_back(std::move(document));
    }

    [[noreturn]] void nothing_left() const {
        const Counts& counts = corpus_.counts;
        if (counts.refused > 0)
            throw_error(ErrorKind::BadFile, name_,
                        "line {}: the chat template refuses this conversation{}: {}", counts.refused_line,
                        counts.refused > 1 ? ", as it does all others" : "", counts.refusal);
        throw_error(ErrorKind::Usage, name_, "all documents are shorter than two tokens");
    }

    std::string name_;
    const gguf::Metadata& metadata_;
    const tokenizer::Tokenizer& tokenizer_;
    const Options& options_;
    bool parse_special_;
    std::size_t n_ctx_;
    std::unique_ptr<Renderer> renderer_;
    std::unordered_set<std::uint64_t> seen_;
    Corpus corpus_;
};

std::string counted(std::int64_t count, std::string_view word) {
    return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

}  // namespace

Form form_of(std::string_view text, std::string_view file_name, const Options& options) {
    if (!options.split_on.empty()) return Form::Split;
    return options.may_be_json_lines && looks_like_json_lines(text, file_name) ? Form::JsonLines
                                                                               : Form::Whole;
}

std::vector<tokenizer::Token> Corpus::ids(const Chunk& chunk, tokenizer::Token bos) const {
    const auto all = std::span(documents[chunk.document].ids).subspan(chunk.piece.first, chunk.piece.count);
    std::vector<tokenizer::Token> out(all.begin(), all.end());
    if (chunk.bos) out.insert(out.begin(), bos);
    return out;
}

std::vector<Role> Corpus::roles(const Chunk& chunk) const {
    const auto all = std::span(documents[chunk.document].roles).subspan(chunk.piece.first, chunk.piece.count);
    std::vector<Role> out(all.begin(), all.end());
    if (chunk.bos) out.insert(out.begin(), Role::Template);
    return out;
}

Corpus make_corpus(std::string_view text, std::string_view name, const gguf::Metadata& metadata,
                   const tokenizer::Tokenizer& tokenizer, const Options& options, bool parse_special,
                   std::int64_t n_ctx) {
    if (n_ctx < kShortestContext)
        throw_error(ErrorKind::Usage, "--ctx-size", "{} tokens are too few for documents; at least {}", n_ctx,
                    kShortestContext);
    return Builder(name, metadata, tokenizer, options, parse_special, n_ctx)
        .build(form_of(text, name, options), text);
}

std::string describe(const Corpus& corpus) {
    const Counts& counts = corpus.counts;
    std::string text = corpus.form == Form::Split ? "pieces of text" : "JSON lines";
    text += fmt::format(": {}", counted(counts.documents, "document"));
    if (counts.conversations > 0) text += fmt::format(" ({})", counted(counts.conversations, "conversation"));
    text += fmt::format(" in {}", counted(std::ssize(corpus.chunks), "chunk"));
    if (counts.cut > 0) {
        text += fmt::format(", {} cut into {}", counts.cut, counts.pieces);
        text += counts.cut_within == 0 ? " between messages"
                                       : fmt::format(" ({} of them within a message)", counts.cut_within);
    }
    if (counts.refused > 0)
        text += fmt::format(", {} dropped since the chat template refuses them (line {}: {})", counts.refused,
                            counts.refused_line, counts.refusal);
    if (counts.short_ones > 0)
        text += fmt::format(", {} dropped since they have one token at most", counts.short_ones);
    if (counts.duplicates > 0) text += fmt::format(", {} the same as an earlier one", counts.duplicates);
    if (counts.speakers_unknown > 0)
        text += fmt::format(", {} in which the speakers could not be told apart", counts.speakers_unknown);
    return text;
}

}  // namespace assay::documents
