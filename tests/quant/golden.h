// Files of tests/golden/quant, written by make_golden.py and make_golden_ik.py there.
#pragma once

#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "quant/type_table.h"

namespace assay::quant {

inline std::vector<char> read_golden(std::string_view name) {
    std::ifstream in(fmt::format("{}/quant/{}", ASSAY_GOLDEN_DIR, name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// nullptr when no type is called so.
inline const TypeInfo* type_named(std::string_view name) {
    for (const TypeInfo& type : all_types())
        if (type.name == name) return &type;
    return nullptr;
}

/// The type's name as golden files spell it.
inline std::string lower_name(const TypeInfo& type) {
    std::string name(type.name);
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return name;
}

}  // namespace assay::quant
