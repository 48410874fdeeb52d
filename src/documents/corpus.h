// From a calibration text that holds documents to chunks, one a document, or several where it is too long.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "documents/cutting.h"
#include "documents/tokens.h"

namespace assay::documents {

struct Options {
    bool may_be_json_lines = true;        ///< as files are, whose bytes do not all count
    std::string split_on;                 ///< empty: not
    std::filesystem::path chat_template;  ///< empty: the model's
    RenderOptions render;
    RoleWeights weights;
};

Form form_of(std::string_view text, std::string_view file_name, const Options& options);

/// What became of the documents.
struct Counts {
    std::int64_t documents = 0;  ///< in the file
    std::int64_t conversations = 0;
    std::int64_t cut = 0;         ///< longer than a chunk
    std::int64_t pieces = 0;      ///< that these gave
    std::int64_t cut_within = 0;  ///< of these documents, those with a cut that is at no message's beginning
    std::int64_t refused = 0;     ///< dropped, since the template does not take them
    std::int64_t refused_line = 0;      ///< the first of them
    std::string refusal;                ///< and why
    std::int64_t short_ones = 0;        ///< dropped, since one token predicts nothing
    std::int64_t duplicates = 0;        ///< of an earlier one, token by token; kept
    std::int64_t speakers_unknown = 0;  ///< conversations whose tokens are all of the role Text
    WrittenMarks written;               ///< in contents, where they are plain text
    bool dated = false;                 ///< a template has asked for the time
};

/// A chunk: some tokens of a document, behind a BOS where the document begins with one and the piece does
/// not.
struct Chunk {
    std::size_t document = 0;
    Piece piece;
    bool bos = false;
};

struct Corpus {
    Form form = Form::JsonLines;
    std::vector<Document> documents;  ///< those that are left
    std::vector<Chunk> chunks;        ///< in the order of the text
    Counts counts;

    std::vector<tokenizer::Token> ids(const Chunk& chunk, tokenizer::Token bos) const;
    std::vector<Role> roles(const Chunk& chunk) const;
};

/// Chunks of at most `n_ctx` tokens. `name` is the file's. Throws Error{BadFile, Unsupported, Usage} that
/// names the line: for a file that is not as it should be, a conversation without a template, a text of which
/// nothing is left.
Corpus make_corpus(std::string_view text, std::string_view name, const gguf::Metadata& metadata,
                   const tokenizer::Tokenizer& tokenizer, const Options& options, bool parse_special,
                   std::int64_t n_ctx);

/// What was recognised, and what was cut, dropped or found twice, in one sentence.
std::string describe(const Corpus& corpus);

}  // namespace assay::documents
