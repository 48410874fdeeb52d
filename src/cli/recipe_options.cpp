#include "cli/recipe_options.h"

#include <algorithm>
#include <cstdint>

#include "cli/values.h"
#include "core/error.h"
#include "core/processors.h"
#include "recipe/policy.h"
#include "recipe/sensitivity.h"

namespace assay::cli {

bool asks_for_recipe(const Given& given) { return given.has("--target-bpw") || given.has("--target-size"); }

recipe::Options read_recipe_options(const Given& given) {
    recipe::Options options;
    if (const auto text = given.last("--target-bpw"))
        options.target_bpw = parse_real("--target-bpw", *text, 0);
    if (const auto text = given.last("--target-size"))
        options.target_bytes = parse_size("--target-size", *text);
    if (const auto text = given.last("--merge-tolerance"))
        options.merge_tolerance = parse_real("--merge-tolerance", *text, 0);
    if (given.has("--exact")) options.max_rows = 0;
    for (const std::string& text : given.all("--keep")) options.keep.push_back(recipe::parse_keep(text));
    for (const std::string& list : given.all("--types"))
        for (const std::string& word : parse_list("--types", list)) {
            const auto type = recipe::parse_type(word);
            if (!type) throw_error(ErrorKind::Usage, "--types", "unknown type '{}'", word);
            options.types.push_back(*type);
        }
    for (const std::string& list : given.all("--sensitivity"))
        for (const std::string& path : parse_list("--sensitivity", list))
            options.sensitivity.push_back(recipe::read_sensitivity(path));
    return options;
}

int recipe_threads(const Given& given) {
    const auto threads = given.last("--threads");
    const std::int64_t n = threads ? parse_integer("--threads", *threads, INT32_MIN) : 0;
    return n > 0 ? static_cast<int>(std::min(n, kMostThreads)) : available_processors();
}

}  // namespace assay::cli
