// A recipe as text: for people, and in the form that each quantiser takes.
#pragma once

#include <string>

#include "recipe/recipe.h"

namespace assay::recipe {

/// What to put into a command line. Paths are quoted for a POSIX shell where they need it.
struct CommandNames {
    std::string model;   ///< the source
    std::string matrix;  ///< as llama.cpp reads it, either format; empty: none
    std::string legacy;  ///< the same in the legacy format, for ik_llama.cpp
    std::string rules;   ///< the file that holds rules_file()
    std::string output;  ///< the model to be written
};

/// The content of a --tensor-type-file: one rule a line, nothing else (its reader knows no comments).
std::string rules_file(const Recipe& recipe);
/// The value of --custom-q.
std::string custom_q(const Recipe& recipe);

/// The complete command line of llama.cpp's quantiser.
std::string llama_command(const Recipe& recipe, const CommandNames& names);
/// The complete command line of ik_llama.cpp's quantiser.
std::string ik_command(const Recipe& recipe, const CommandNames& names);

/// Size, error, gap, what each sort of tensor got, notes.
std::string recipe_text(const Recipe& recipe);

}  // namespace assay::recipe
