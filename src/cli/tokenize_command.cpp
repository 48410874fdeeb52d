// `assay tokenize`: the ids of a text, one a line. A file counts to its last byte: a calibration (-f) would
// leave out one trailing line feed.
#include <array>
#include <fmt/format.h>

#include "calibrate/chunks.h"
#include "cli/commands.h"
#include "cli/given.h"
#include "cli/help.h"
#include "cli/lost_file.h"
#include "cli/output.h"
#include "cli/values.h"
#include "core/error.h"
#include "gguf/file.h"
#include "tokenizer/tokenizer.h"

namespace assay::cli {

namespace {

constexpr std::array<OptionRow, 7> kRows{{
    {"--model -m", Takes::Value, Fate::Works, {}},
    {"--override-kv -okv", Takes::Value, Fate::Works, {}},
    {"--file -f -bf --binary-file", Takes::Value, Fate::Works, {}},
    {"--prompt -p", Takes::Value, Fate::Works, {}},
    {"--parse-special", Takes::Nothing, Fate::Works, {}},
    {"--no-bos", Takes::Nothing, Fate::Works, {}},
    {"--help -h --usage", Takes::Nothing, Fate::Works, {}},
}};

Arguments text_arguments(const Given& given) {
    Arguments out;
    const std::string_view winner = given.winner({"--file", "--prompt"});
    if (winner.empty()) throw Error(ErrorKind::Usage, "tokenize", "needs a text: -f FILE or -p TEXT");
    out.text_source = given.last(winner).value_or("");
    out.text_from = winner == "--prompt" ? TextFrom::Prompt : TextFrom::BinaryFile;
    return out;
}

}  // namespace

int tokenize_command(const Words& words) {
    const CommandLine line = normalise(words, kRows);
    const Given given(line.words, kRows, {});
    if (given.has("--help")) {
        print(help_text("tokenize"));
        return 0;
    }
    if (!line.positional.empty())
        throw Error(ErrorKind::Usage, line.positional.front(),
                    "unexpected word; files are given with -m and -f");
    const auto model = given.last("--model");
    if (!model) throw Error(ErrorKind::Usage, "--model", "is required: -m FILE");
    const std::string text = read_text(text_arguments(given));
    tell_when_lost(*model);
    gguf::Overrides metadata;
    for (const std::string& list : given.all("--override-kv"))
        for (auto& item : parse_overrides("--override-kv", list)) metadata.push_back(std::move(item));
    const gguf::File file = gguf::File::open(*model, metadata);
    const auto tokenizer = tokenizer::make_tokenizer(file.metadata());
    warn(tokenizer->vocabulary().warnings());
    const bool add_special = !given.has("--no-bos");
    const auto ids =
        tokenizer->encode(text, {.add_special = add_special, .parse_special = given.has("--parse-special")});
    if (add_special) warn(calibrate::text_notes(text, ids, tokenizer->vocabulary()));
    print(fmt::format("{}{}", fmt::join(ids, "\n"), ids.empty() ? "" : "\n"));
    return 0;
}

}  // namespace assay::cli
