// assay recipe: a storage type for each tensor, within a size.
#include <charconv>

#include "cli/commands.h"
#include "cli/console.h"
#include "core/error.h"
#include "core/file.h"
#include "core/thread_pool.h"
#include "gguf/file.h"
#include "imatrix/file.h"
#include "recipe/policy.h"
#include "recipe/recipe.h"
#include "recipe/recipe_text.h"

namespace assay::cli {

namespace {

double parse_number(std::string_view option, const std::string& text) {
    double value = 0.0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || !(value >= 0.0))
        throw_error(ErrorKind::Usage, option, "'{}' is not a number of zero or more", text);
    return value;
}

struct Words {
    std::optional<std::string> matrix, model;
    std::string output = "quantised.gguf";
    std::string rules = "tensor-types.txt";
    int n_threads = 0;
    recipe::Options options;
};

void add_types(const std::string& list, recipe::Options& options) {
    for (std::size_t begin = 0; begin < list.size();) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        const std::string word = list.substr(begin, end - begin);
        const auto type = recipe::parse_type(word);
        if (!type) throw_error(ErrorKind::Usage, "--types", "unknown type '{}'", word);
        options.types.push_back(*type);
        begin = end + 1;
    }
}

Words parse(const std::vector<std::string>& words) {
    Words parsed;
    recipe::Options& options = parsed.options;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const auto value = [&]() -> const std::string& {
            if (++i == words.size()) throw_error(ErrorKind::Usage, word, "needs a value");
            return words[i];
        };
        if (word == "-m" || word == "--model")
            parsed.model = value();
        else if (word == "-o" || word == "--output")
            parsed.output = value();
        else if (word == "--rules")
            parsed.rules = value();
        else if (word == "-t" || word == "--threads")
            parsed.n_threads = static_cast<int>(parse_number(word, value()));
        else if (word == "--target-bpw")
            options.target_bpw = parse_number(word, value());
        else if (word == "--target-size")
            options.target_bytes = parse_size(value(), word);
        else if (word == "--merge-tolerance")
            options.merge_tolerance = parse_number(word, value());
        else if (word == "--keep")
            options.keep.push_back(recipe::parse_keep(value()));
        else if (word == "--types")
            add_types(value(), options);
        else if (word == "--exact")
            options.max_rows = 0;
        else if (word.starts_with("-") || parsed.matrix)
            throw_error(ErrorKind::Usage, word, "unexpected; see assay --help for what recipe takes");
        else
            parsed.matrix = word;
    }
    if (!parsed.matrix || !parsed.model)
        throw_error(ErrorKind::Usage, "recipe",
                    "takes a matrix, a model and a target: assay recipe MATRIX -m MODEL --target-bpw 4.5");
    return parsed;
}

}  // namespace

int run_recipe(const std::vector<std::string>& words) {
    const Words parsed = parse(words);
    const gguf::File model = gguf::File::open(*parsed.model);
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(*parsed.matrix, {}, notes);
    for (const std::string& note : notes) write_stderr("assay: note: " + note);
    check_writable(parsed.rules);
    ThreadPool pool(parsed.n_threads > 0 ? parsed.n_threads : available_processors());
    const recipe::Recipe result = recipe::make_recipe(model, matrix, parsed.options, pool);

    const std::filesystem::path legacy = std::filesystem::path(*parsed.matrix).replace_extension(".dat");
    const recipe::CommandNames names{*parsed.model, *parsed.matrix, legacy.string(), parsed.rules,
                                     parsed.output};
    const std::string content = recipe::rules_file(result);
    write_file_atomically(parsed.rules, std::as_bytes(std::span(content)));
    write_stdout(
        recipe::recipe_text(result) +
        fmt::format(
            "\nllama.cpp (rules written to {}):\n{}\n\nik_llama.cpp (matrix in the legacy format):\n{}\n",
            parsed.rules, recipe::llama_command(result, names), recipe::ik_command(result, names)));
    return 0;
}

}  // namespace assay::cli
