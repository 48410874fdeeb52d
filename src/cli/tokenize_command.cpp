// `assay tokenize`: the ids of a text, one a line. A file counts to its last byte: a calibration (-f) would
// leave out one trailing line feed.
#include <fmt/format.h>

#include "calibrate/text_chunks.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "gguf/file.h"
#include "tokenizer/tokenizer.h"

namespace assay::cli {

int tokenize_command(const Arguments& arguments) {
    const calibrate::Options& options = arguments.options;
    if (arguments.text_from == TextFrom::Nowhere)
        throw Error(ErrorKind::Usage, "tokenize", "needs a text: -f FILE or -p TEXT");
    if (options.model.empty()) throw Error(ErrorKind::Usage, "--model", "is required: -m FILE");
    const std::string text = read_text(arguments);
    const gguf::File file = gguf::File::open(options.model, options.metadata);
    const auto tokenizer = tokenizer::make_tokenizer(file.metadata());
    warn(tokenizer->vocabulary().warnings());
    warn(gguf::describe_overrides(file.metadata()).unread);
    const auto ids = tokenizer->encode(
        text, {.add_special = arguments.add_special, .parse_special = options.parse_special});
    if (arguments.add_special) warn(calibrate::text_notes(text, ids, tokenizer->vocabulary()));
    print(fmt::format("{}{}", fmt::join(ids, "\n"), ids.empty() ? "" : "\n"));
    return 0;
}

}  // namespace assay::cli
