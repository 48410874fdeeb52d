// The options that say what recipe is wanted, for the commands that make one.
#pragma once

#include <array>

#include "cli/given.h"
#include "recipe/recipe.h"

namespace assay::cli {

inline constexpr std::array<OptionRow, 9> kRecipeRows{{
    {"--model -m", Takes::Value, Fate::Works, {}},
    {"--target-bpw", Takes::Value, Fate::Works, {}},
    {"--target-size", Takes::Value, Fate::Works, {}},
    {"--keep", Takes::Value, Fate::Works, {}},
    {"--types", Takes::Value, Fate::Works, {}},
    {"--sensitivity", Takes::Value, Fate::Works, {}},
    {"--merge-tolerance", Takes::Value, Fate::Works, {}},
    {"--exact", Takes::Nothing, Fate::Works, {}},
    {"--threads -t", Takes::Value, Fate::Works, {}},
}};

/// kRecipeRows and the rows of one command.
template <std::size_t kOwn> constexpr auto with_recipe_rows(const std::array<OptionRow, kOwn>& own) {
    std::array<OptionRow, kOwn + kRecipeRows.size()> rows{};
    for (std::size_t i = 0; i < kOwn; ++i) rows[i] = own[i];
    for (std::size_t i = 0; i < kRecipeRows.size(); ++i) rows[kOwn + i] = kRecipeRows[i];
    return rows;
}

/// True when a target is given.
bool asks_for_recipe(const Given& given);

/// Throws Error{Usage} for values that mean nothing.
recipe::Options read_recipe_options(const Given& given);

/// Those given; one for each core for none or less than one.
int recipe_threads(const Given& given);

}  // namespace assay::cli
