// `assay text`: what a run would see of a text.
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/text.h"
#include "documents/corpus.h"
#include "documents/survey.h"
#include "gguf/file.h"

namespace assay::cli {

namespace {

using documents::Corpus;
using documents::Survey;
using Json = nlohmann::ordered_json;

struct Named {
    std::string_view name;
    std::int64_t tokens;
};

std::vector<Named> roles_of(const Survey& survey) {
    std::vector<Named> out;
    for (const documents::Role role : documents::kRoles)
        if (const std::int64_t n = survey.by_role[documents::index_of(role)]; n > 0)
            out.push_back({to_string(role), n});
    return out;
}

/// The commonest first.
std::vector<Named> scripts_of(const Survey& survey) {
    std::vector<Named> out;
    for (std::size_t i = 0; i < survey.by_script.size(); ++i)
        if (survey.by_script[i] > 0)
            out.push_back({to_string(static_cast<documents::Script>(i)), survey.by_script[i]});
    std::ranges::stable_sort(out, std::greater(), &Named::tokens);
    return out;
}

std::string shares_text(const std::vector<Named>& parts, std::int64_t all) {
    std::string text;
    for (const Named& part : parts)
        text += fmt::format("{}{} {} ({:.1f} %)", text.empty() ? "" : ", ", part.name, part.tokens,
                            100.0 * static_cast<double>(part.tokens) / static_cast<double>(all));
    return text;
}

/// A column of eighths for each bin, with the range of lengths in front and behind.
std::string histogram_text(const Survey& survey) {
    constexpr std::string_view kColumns[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const auto first = static_cast<std::size_t>(
        std::ranges::find_if(survey.histogram, [](std::int64_t n) { return n > 0; }) -
        survey.histogram.begin());
    const std::int64_t most = std::ranges::max(survey.histogram);
    std::string text = fmt::format("{} ", std::int64_t{1} << first);
    for (std::size_t i = first; i < survey.histogram.size(); ++i)
        text += kColumns[(survey.histogram[i] * 8 + most - 1) / most];
    return text + fmt::format(" {}, doubling", std::int64_t{1} << survey.histogram.size());
}

struct Seen {
    Survey survey;
    Corpus corpus;  ///< of a whole text: one document, and no chunks
    std::int64_t n_chunks = 0;
    const tokenizer::Vocabulary& vocabulary;
};

Json named_json(const std::vector<Named>& parts) {
    Json json = Json::object();
    for (const Named& part : parts) json[std::string(part.name)] = part.tokens;
    return json;
}

std::string json_of(const Seen& seen) {
    const Survey& survey = seen.survey;
    const documents::Counts& counts = seen.corpus.counts;
    Json json;
    json["form"] = seen.corpus.form == documents::Form::Whole       ? "text"
                   : seen.corpus.form == documents::Form::JsonLines ? "json-lines"
                                                                    : "split";
    json["documents"] = counts.documents;
    json["conversations"] = counts.conversations;
    json["chunks"] = seen.n_chunks;
    json["tokens"] = survey.tokens;
    json["tokens_by_role"] = named_json(roles_of(survey));
    json["tokens_by_script"] = named_json(scripts_of(survey));
    json["lengths"] = {{"min", survey.shortest},
                       {"median", survey.median},
                       {"p90", survey.nine_tenths},
                       {"max", survey.longest},
                       {"histogram", survey.histogram}};
    json["cut"] = counts.cut;
    json["cut_within_message"] = counts.cut_within;
    json["dropped_refused"] = counts.refused;
    json["dropped_short"] = counts.short_ones;
    json["duplicates"] = counts.duplicates;
    json["speakers_unknown"] = counts.speakers_unknown;
    json["special_tokens_in_contents"] = Json::object();
    for (const auto& [mark, n] : counts.written)
        json["special_tokens_in_contents"][printable(seen.vocabulary.text(mark))] = n;
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string text_of(const Seen& seen, const calibrate::Options& options) {
    const Survey& survey = seen.survey;
    const documents::Counts& counts = seen.corpus.counts;
    std::string out =
        seen.corpus.form == documents::Form::Whole ? "one text" : documents::describe(seen.corpus);
    out += fmt::format("\nchunks      {} of at most {} tokens\n", seen.n_chunks, options.n_ctx);
    out += fmt::format("tokens      {}\n", survey.tokens);
    out += fmt::format("roles       {}\n", shares_text(roles_of(survey), survey.tokens));
    out += fmt::format("scripts     {}\n", shares_text(scripts_of(survey), survey.tokens));
    if (seen.corpus.form != documents::Form::Whole)
        out += fmt::format("lengths     min {}, median {}, 90 % at most {}, max {}\n            {}\n",
                           survey.shortest, survey.median, survey.nine_tenths, survey.longest,
                           histogram_text(survey));
    std::string marks;
    for (const auto& [mark, n] : counts.written)
        marks +=
            fmt::format("{}{} {} times", marks.empty() ? "" : ", ", printable(seen.vocabulary.text(mark)), n);
    out +=
        fmt::format("special     {}\n", marks.empty() ? "no special tokens are written in contents"
                                                      : marks + ", in contents, where they stay plain text");
    return out;
}

Corpus whole(const tokenizer::Tokenizer& tokenizer, const calibrate::Options& options) {
    Corpus corpus;
    corpus.form = documents::Form::Whole;
    corpus.counts.documents = 1;
    corpus.documents.push_back(documents::tokenize_parts(tokenizer, {{documents::Role::Text, options.text}},
                                                         options.parse_special, corpus.counts.written));
    return corpus;
}

}  // namespace

int text_command(const Arguments& arguments) {
    calibrate::Options options = arguments.options;
    if (arguments.text_from == TextFrom::Nowhere)
        throw Error(ErrorKind::Usage, "text", "needs a text: -f FILE or -p TEXT");
    if (options.model.empty()) throw Error(ErrorKind::Usage, "--model", "is required: -m FILE");
    options.text = read_text(arguments);
    const gguf::File file = gguf::File::open(options.model, options.metadata);
    const auto tokenizer = tokenizer::make_tokenizer(file.metadata());
    warn(tokenizer->vocabulary().warnings());
    warn(gguf::describe_overrides(file.metadata()).unread);
    const bool is_whole = form_of(options.text, options.dataset, options.documents) == documents::Form::Whole;
    Corpus corpus = is_whole
                        ? whole(*tokenizer, options)
                        : documents::make_corpus(options.text, options.dataset, file.metadata(), *tokenizer,
                                                 options.documents, options.parse_special, options.n_ctx);
    Seen seen{documents::survey(corpus.documents), std::move(corpus), 0, tokenizer->vocabulary()};
    seen.n_chunks = is_whole ? seen.survey.tokens / options.n_ctx : std::ssize(seen.corpus.chunks);
    print(arguments.numbers == NumbersAs::Json ? json_of(seen) : text_of(seen, options));
    return 0;
}

}  // namespace assay::cli
