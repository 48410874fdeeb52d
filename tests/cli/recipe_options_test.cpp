#include "cli/recipe_options.h"

#include <gtest/gtest.h>

#include "cli/values.h"
#include "core/error.h"

namespace assay::cli {
namespace {

Given given(const Words& words) { return Given(words, kRecipeRows, {}); }

TEST(RecipeOptions, ThreadsAreNoMoreThanAreMade) {
    EXPECT_EQ(recipe_threads(given({"--threads", "3"})), 3);
    EXPECT_EQ(recipe_threads(given({"--threads", "4294967297"})), kMostThreads) << "2^32 + 1";
    EXPECT_GE(recipe_threads(given({})), 1);
    EXPECT_EQ(recipe_threads(given({"--threads", "0"})), recipe_threads(given({})));
}

TEST(RecipeOptions, NumbersAreFiniteAndNotNegative) {
    EXPECT_EQ(read_recipe_options(given({"--target-bpw", "4.5"})).target_bpw, 4.5);
    for (const char* option : {"--target-bpw", "--merge-tolerance"})
        for (const char* word : {"-1", "nan", "inf", "4x", ""})
            EXPECT_THROW(read_recipe_options(given({option, word})), Error) << option << " " << word;
}

}  // namespace
}  // namespace assay::cli
