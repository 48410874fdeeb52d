// A step in words, for those who read a program. Private to the room.
#pragma once

#include <functional>
#include <string>

#include "model/program.h"

namespace assay::model {

/// How values and tensors are called.
struct Names {
    std::function<std::string(const Value&)> value;
    std::function<std::string(const std::string&)> tensor;
};

/// "normalise x: rms norm, eps 1e-05": what the operation does with what it reads. Numbers that mean nothing
/// (a soft cap of 0) are left out, and so are tensors.
std::string describe(const Operation& operation, const Names& names);

/// ", text" where it holds, else nothing.
std::string when(bool holds, const std::string& text);

}  // namespace assay::model
