// `assay recipe`: a storage type for each tensor, within a size.
#include <array>
#include <filesystem>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/given.h"
#include "cli/help.h"
#include "cli/lost_file.h"
#include "cli/output.h"
#include "cli/recipe_options.h"
#include "core/error.h"
#include "core/file.h"
#include "core/thread_pool.h"
#include "gguf/file.h"
#include "imatrix/file.h"
#include "recipe/recipe.h"
#include "recipe/recipe_text.h"

namespace assay::cli {

namespace {

constexpr auto kRows = with_recipe_rows(std::array<OptionRow, 3>{{
    {"--output -o", Takes::Value, Fate::Works, {}},
    {"--rules", Takes::Value, Fate::Works, {}},
    {"--help -h --usage", Takes::Nothing, Fate::Works, {}},
}});

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
    const recipe::Options options = read_recipe_options(given);
    const std::string rules = given.last("--rules").value_or("tensor-types.txt");
    check_writable(rules, {*model_path, matrix_path});
    tell_when_lost(*model_path);
    const gguf::File model = gguf::File::open(*model_path);
    imatrix::Notes notes;
    const imatrix::Matrix matrix =
        matrix_path.empty() ? imatrix::Matrix() : imatrix::load(matrix_path, {}, notes);
    warn(notes);
    ThreadPool pool(recipe_threads(given));
    const recipe::Recipe result = recipe::make_recipe(model, matrix, options, pool);

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
