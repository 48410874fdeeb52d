// assay tokenize: the ids of a text, one a line.
#include "cli/commands.h"
#include "cli/console.h"
#include "core/error.h"
#include "core/file.h"
#include "gguf/file.h"
#include "tokenizer/tokenizer.h"

namespace assay::cli {

int run_tokenize(const std::vector<std::string>& words) {
    std::optional<std::filesystem::path> model, file;
    std::optional<std::string> prompt;
    tokenizer::Encoding how;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const auto value = [&]() -> const std::string& {
            if (++i == words.size()) throw_error(ErrorKind::Usage, word, "needs a value");
            return words[i];
        };
        if (word == "-m" || word == "--model")
            model = value();
        else if (word == "-f" || word == "--file")
            file = value();
        else if (word == "-p" || word == "--prompt")
            prompt = value();
        else if (word == "--parse-special")
            how.parse_special = true;
        else if (word == "--no-bos")
            how.add_special = false;
        else
            throw_error(ErrorKind::Usage, word,
                        "unknown option of tokenize; expected -m MODEL, -f FILE or -p TEXT, "
                        "--parse-special, --no-bos");
    }
    if (!model || (!file && !prompt))
        throw_error(ErrorKind::Usage, "tokenize", "needs -m MODEL and -f FILE or -p TEXT");
    const gguf::File opened = gguf::File::open(*model);
    const auto tokenizer = tokenizer::make_tokenizer(opened.metadata());
    for (const std::string& warning : tokenizer->vocabulary().warnings())
        write_stderr("assay: note: " + warning);
    const std::string text = file ? read_file(*file) : *prompt;
    std::string out;
    for (const tokenizer::Token id : tokenizer->encode(text, how)) out += fmt::format("{}\n", id);
    write_stdout(out);
    return 0;
}

}  // namespace assay::cli
