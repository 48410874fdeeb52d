// `assay recipe`: a storage type for each tensor, within a size.
#include <array>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/given.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/values.h"
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

constexpr std::array<OptionRow, 12> kRows{{
    {"--model -m", Takes::Value, Fate::Works, {}},
    {"--target-bpw", Takes::Value, Fate::Works, {}},
    {"--target-size", Takes::Value, Fate::Works, {}},
    {"--keep", Takes::Value, Fate::Works, {}},
    {"--types", Takes::Value, Fate::Works, {}},
    {"--sensitivity", Takes::Value, Fate::Works, {}},
    {"--merge-tolerance", Takes::Value, Fate::Works, {}},
    {"--exact", Takes::Nothing, Fate::Works, {}},
    {"--output -o", Takes::Value, Fate::Works, {}},
    {"--rules", Takes::Value, Fate::Works, {}},
    {"--threads -t", Takes::Value, Fate::Works, {}},
    {"--help -h --usage", Takes::Nothing, Fate::Works, {}},
}};

double parse_number(std::string_view option, const std::string& text) {
    double value = 0.0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || !(value >= 0.0))
        throw_error(ErrorKind::Usage, option, "'{}' is not a number of zero or more", text);
    return value;
}

recipe::Options read_options(const Given& given) {
    recipe::Options options;
    if (const auto text = given.last("--target-bpw"))
        options.target_bpw = parse_number("--target-bpw", *text);
    if (const auto text = given.last("--target-size"))
        options.target_bytes = parse_size("--target-size", *text);
    if (const auto text = given.last("--merge-tolerance"))
        options.merge_tolerance = parse_number("--merge-tolerance", *text);
    if (given.has("--exact")) options.max_rows = 0;
    for (const std::string& text : given.all("--keep")) options.keep.push_back(recipe::parse_keep(text));
    for (const std::string& list : given.all("--types"))
        for (const std::string& word : split_list(list)) {
            const auto type = recipe::parse_type(word);
            if (!type) throw_error(ErrorKind::Usage, "--types", "unknown type '{}'", word);
            options.types.push_back(*type);
        }
    for (const std::string& list : given.all("--sensitivity"))
        for (const std::string& path : split_list(list))
            options.sensitivity.push_back(recipe::read_sensitivity(path));
    return options;
}

}  // namespace

int recipe_command(const Words& words) {
    const CommandLine line = normalise(words, kRows);
    const Given given(line.words, kRows, {});
    if (given.has("--help")) {
        print(help_text("recipe"));
        return 0;
    }
    const auto model_path = given.last("--model");
    const std::size_t least = given.has("--sensitivity") ? 0 : 1;
    if (line.positional.size() < least || line.positional.size() > 1 || !model_path)
        throw Error(ErrorKind::Usage, "recipe",
                    "takes a matrix, a model and a target: assay recipe MATRIX -m MODEL --target-bpw 4.5; "
                    "--sensitivity FILE may stand for the matrix");
    const std::string matrix_path = line.positional.empty() ? "" : line.positional.front();
    const recipe::Options options = read_options(given);
    const gguf::File model = gguf::File::open(*model_path);
    imatrix::Notes notes;
    const imatrix::Matrix matrix =
        matrix_path.empty() ? imatrix::Matrix() : imatrix::load(matrix_path, {}, notes);
    warn(notes);
    const auto threads = given.last("--threads");
    ThreadPool pool(threads ? static_cast<int>(parse_integer("--threads", *threads, 1))
                            : available_processors());
    const recipe::Recipe result = recipe::make_recipe(model, matrix, options, pool);

    const std::string rules = given.last("--rules").value_or("tensor-types.txt");
    std::filesystem::path legacy = matrix_path;
    if (!matrix_path.empty()) legacy.replace_extension(".dat");
    const recipe::CommandNames names{*model_path, matrix_path, legacy.string(), rules,
                                     given.last("--output").value_or("quantised.gguf")};
    const std::string content = recipe::rules_file(result);
    write_file_atomically(rules, std::as_bytes(std::span(content)));
    print(recipe::recipe_text(result) +
          fmt::format(
              "\nllama.cpp (rules written to {}):\n{}\n\nik_llama.cpp (matrix in the legacy format):\n{}\n",
              rules, recipe::llama_command(result, names), recipe::ik_command(result, names)));
    return 0;
}

}  // namespace assay::cli
