// A metadata value as a sentence names it.
#pragma once

#include <string>

#include "gguf/metadata.h"

namespace assay::gguf {

/// A number, true or false, a string in quotes; of arrays "an array".
std::string value_text(const Value& value);

}  // namespace assay::gguf
