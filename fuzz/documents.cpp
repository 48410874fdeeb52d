#include <algorithm>
#include <memory>

#include "core/error.h"
#include "documents/corpus.h"
#include "fuzz/sample_vocabulary.h"
#include "fuzz/support.h"

namespace assay::fuzz {

namespace {

using namespace documents;

constexpr std::int64_t kContexts[] = {4, 5, 16, 512};

void expect_whole(const Document& document, const tokenizer::Tokenizer& tokenizer) {
    const std::size_t n = document.ids.size();
    expect(document.roles.size() == n && document.scripts.size() == n, "every token has a role and a script");
    for (const tokenizer::Token id : document.ids)
        expect(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocabulary().size(),
               "an id is inside the vocabulary");
    for (const std::size_t start : document.starts) expect(start > 0 && start < n, "a message begins within");
}

/// As by a template that puts a mark before each content.
void examine_conversation(const Conversation& conversation, const tokenizer::Tokenizer& tokenizer) {
    Rendered rendered;
    rendered.known = rendered.all_known = conversation.contents.size() % 2 == 1;
    for (std::size_t i = 0; i < conversation.contents.size(); ++i) {
        rendered.text += "<s>";
        rendered.ends.push_back(static_cast<std::int64_t>(rendered.text.size()));
        const std::size_t begin = rendered.text.size();
        rendered.text += conversation.contents[i];
        if (rendered.known)
            rendered.spans.push_back(
                {begin, rendered.text.size(), static_cast<std::int64_t>(i % conversation.roles.size())});
    }
    WrittenMarks written;
    const Document document = tokenize_rendered(tokenizer, conversation, rendered, false, written);
    expect_whole(document, tokenizer);
    // BOS, which only the template may say here.
    const auto n_marks = std::ranges::count(document.ids, tokenizer.vocabulary().find("<s>"));
    expect(n_marks <= std::ssize(conversation.contents), "contents spell no marks");
}

void examine_corpus(std::string_view text, const Options& options, std::int64_t n_ctx,
                    const gguf::Metadata& metadata, const tokenizer::Tokenizer& tokenizer) {
    const Corpus corpus = make_corpus(text, options.split_on.empty() ? "fuzz.jsonl" : "fuzz", metadata,
                                      tokenizer, options, false, n_ctx);
    expect(!corpus.chunks.empty(), "something is left");
    std::size_t n_tokens = 0;
    for (const Chunk& chunk : corpus.chunks) {
        const std::size_t n = corpus.ids(chunk, 0).size();
        expect(n > 0 && n <= static_cast<std::size_t>(n_ctx), "a chunk fits");
        expect(corpus.roles(chunk).size() == n, "every token of a chunk has a role");
        n_tokens += chunk.piece.count;
    }
    std::size_t n_all = 0;
    for (const Document& document : corpus.documents) {
        expect_whole(document, tokenizer);
        n_all += document.ids.size();
    }
    expect(n_tokens == n_all, "no token is lost");
    expect(!describe(corpus).empty(), "it can be described");
}

}  // namespace

void examine_documents(Bytes bytes) {
    static const gguf::Metadata metadata = sample_vocabulary("llama", "");
    static const auto tokenizer = tokenizer::make_tokenizer(metadata);
    if (bytes.empty()) return;
    const auto choice = static_cast<unsigned>(bytes[0]);
    const std::string_view text = text_of(bytes.subspan(1));
    Options options;
    if ((choice & 1) != 0) options.split_on = "\n\n";
    (void)looks_like_json_lines(text, "text");
    try {
        if ((choice & 1) == 0)
            for (const Source& source : read_json_lines(text, "fuzz"))
                if (const auto* conversation = std::get_if<Conversation>(&source.content))
                    examine_conversation(*conversation, *tokenizer);
        if (form_of(text, (choice & 1) == 0 ? "fuzz.jsonl" : "", options) == Form::Whole) return;
        examine_corpus(text, options, kContexts[(choice >> 1) % std::size(kContexts)], metadata, *tokenizer);
    } catch (const Error& error) {
        expect(error.kind() == ErrorKind::BadFile || error.kind() == ErrorKind::Unsupported ||
                   error.kind() == ErrorKind::Usage,
               error.what());
    }
}

}  // namespace assay::fuzz
