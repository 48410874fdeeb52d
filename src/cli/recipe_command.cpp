// `assay recipe`: a storage type for each tensor, within a size.
#include <filesystem>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/file.h"
#include "core/thread_pool.h"
#include "gguf/file.h"
#include "imatrix/file.h"
#include "recipe/recipe.h"
#include "recipe/recipe_text.h"

namespace assay::cli {

std::vector<recipe::SensitivityFile> read_sensitivities(const Arguments& arguments) {
    std::vector<recipe::SensitivityFile> files;
    for (const std::string& path : arguments.sensitivity_files)
        files.push_back(recipe::read_sensitivity(path));
    return files;
}

int recipe_command(const Arguments& arguments) {
    const std::filesystem::path& model_path = arguments.options.model;
    const std::size_t least = arguments.sensitivity_files.empty() ? 1 : 0;
    if (arguments.files.size() < least || model_path.empty())
        throw Error(ErrorKind::Usage, "recipe",
                    "takes a matrix, a model and a target: assay recipe MATRIX -m MODEL --target-bpw 4.5; "
                    "--sensitivity FILES may stand for the matrix");
    const std::string matrix_path = arguments.files.empty() ? "" : arguments.files.front();
    recipe::Options options = arguments.recipe;
    options.sensitivity = read_sensitivities(arguments);
    check_writable(arguments.rules, {model_path, matrix_path});
    const gguf::File model = gguf::File::open(model_path);
    imatrix::Notes notes;
    const imatrix::Matrix matrix =
        matrix_path.empty() ? imatrix::Matrix() : imatrix::load(matrix_path, {}, notes);
    warn(notes);
    ThreadPool pool(threads_of(arguments));
    const recipe::Recipe result = recipe::make_recipe(model, matrix, options, pool);

    std::filesystem::path legacy = matrix_path;
    if (!matrix_path.empty()) legacy.replace_extension(".dat");
    const recipe::CommandNames names{model_path.string(), matrix_path, legacy.string(), arguments.rules,
                                     arguments.output.empty() ? "quantised.gguf" : arguments.output.string()};
    const std::string content = recipe::rules_file(result);
    write_file_atomically(arguments.rules, std::as_bytes(std::span(content)));
    print(recipe::recipe_text(result) +
          fmt::format(
              "\nllama.cpp (rules written to {}):\n{}\n\nik_llama.cpp (matrix in the legacy format):\n{}\n",
              arguments.rules, recipe::llama_command(result, names), recipe::ik_command(result, names)));
    return 0;
}

}  // namespace assay::cli
