#include "gguf/value_text.h"

#include <fmt/format.h>

namespace assay::gguf {

std::string value_text(const Value& value) {
    if (value.type == ValueType::Bool) return std::get<std::int64_t>(value.data) != 0 ? "true" : "false";
    if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return fmt::format("{}", *integer);
    if (const auto* real = std::get_if<double>(&value.data)) return fmt::format("{}", *real);
    if (const auto* string = std::get_if<std::string>(&value.data)) return fmt::format("'{}'", *string);
    return "an array";
}

}  // namespace assay::gguf
