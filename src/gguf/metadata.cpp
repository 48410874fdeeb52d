#include "gguf/metadata.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "core/error.h"
#include "gguf/value_text.h"

namespace assay::gguf {

std::string_view to_string(ValueType type) noexcept {
    constexpr std::array<std::string_view, 13> kNames{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                      "bool", "string", "array", "u64", "i64", "f64"};
    const auto id = static_cast<std::size_t>(type);
    return id < kNames.size() ? kNames[id] : "unknown";
}

bool Metadata::insert(std::string key, Value value) {
    return values_.emplace(std::move(key), std::move(value)).second;
}

void Metadata::apply(const Overrides& overrides) {
    constexpr std::string_view kArchitecture = "{arch}";
    for (const auto& [name, value] : overrides) {
        std::string key = name;
        if (key.starts_with(kArchitecture))
            key.replace(0, kArchitecture.size(), get_string("general.architecture"));
        const auto found = values_.find(key);
        const Value* old = found == values_.end() ? nullptr : &found->second;
        if (old != nullptr) {
            const bool same_kind = old->data.index() == value.data.index() &&
                                   (old->type == ValueType::Bool) == (value.type == ValueType::Bool);
            const bool widened = std::holds_alternative<double>(old->data) && value.type != ValueType::Bool &&
                                 std::holds_alternative<std::int64_t>(value.data);
            if (!same_kind && !widened)
                throw_error(ErrorKind::Usage, where_,
                            "{} is a {} in the file; it cannot be overridden by a {}", key,
                            to_string(old->type), to_string(value.type));
        }
        const auto same_key = [&](const Overridden& item) { return item.key == key; };
        if (std::ranges::none_of(overridden_, same_key))
            overridden_.push_back({key, old == nullptr ? std::nullopt : std::optional(*old)});
        set(std::move(key), value);
    }
}

const Value* Metadata::find(std::string_view key) const {
    for (Overridden& item : overridden_)
        if (item.key == key) item.read = true;
    const auto it = values_.find(key);
    return it == values_.end() ? nullptr : &it->second;
}

void Metadata::wrong_kind(std::string_view key, const Value& value, std::string_view expected) const {
    throw_error(ErrorKind::BadFile, where_, "metadata key {} is of type {}, expected {}", key,
                to_string(value.type), expected);
}

void Metadata::missing(std::string_view key) const {
    throw_error(ErrorKind::BadFile, where_, "metadata key {} is missing", key);
}

std::optional<std::int64_t> Metadata::find_integer(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (const auto* integer = std::get_if<std::int64_t>(&value->data)) return *integer;
    wrong_kind(key, *value, "an integer");
}

std::optional<double> Metadata::find_real(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (const auto* real = std::get_if<double>(&value->data)) return *real;
    if (const auto* integer = std::get_if<std::int64_t>(&value->data)) return static_cast<double>(*integer);
    wrong_kind(key, *value, "a number");
}

std::optional<bool> Metadata::find_bool(std::string_view key) const {
    const auto integer = find_integer(key);
    return integer ? std::optional(*integer != 0) : std::nullopt;
}

std::optional<std::string_view> Metadata::find_string(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (const auto* string = std::get_if<std::string>(&value->data)) return *string;
    wrong_kind(key, *value, "a string");
}

const Integers* Metadata::find_integers(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return nullptr;
    if (const auto* integers = std::get_if<Integers>(&value->data)) return integers;
    wrong_kind(key, *value, "an array of integers");
}

const Strings* Metadata::find_strings(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return nullptr;
    if (const auto* strings = std::get_if<Strings>(&value->data)) return strings;
    wrong_kind(key, *value, "an array of strings");
}

std::optional<Reals> Metadata::find_reals(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (const auto* reals = std::get_if<Reals>(&value->data)) return *reals;
    if (const auto* integers = std::get_if<Integers>(&value->data))
        return Reals(integers->begin(), integers->end());
    wrong_kind(key, *value, "an array of numbers");
}

std::int64_t Metadata::get_integer(std::string_view key) const {
    if (const auto value = find_integer(key)) return *value;
    missing(key);
}

double Metadata::get_real(std::string_view key) const {
    if (const auto value = find_real(key)) return *value;
    missing(key);
}

std::string_view Metadata::get_string(std::string_view key) const {
    if (const auto value = find_string(key)) return *value;
    missing(key);
}

OverrideTexts describe_overrides(const Metadata& metadata) {
    OverrideTexts texts;
    for (const Overridden& item : metadata.overridden()) {
        if (item.read) {
            const std::string before = item.before ? value_text(*item.before) : "nothing";
            const std::string now = value_text(metadata.values().at(item.key));
            texts.read.push_back(fmt::format("{} = {} (the file: {})", item.key, now, before));
        } else {
            texts.unread.push_back(
                fmt::format("the override of {} has no effect: nothing reads this key of this model{}",
                            item.key, item.before ? "" : ", and the file has none of that name"));
        }
    }
    return texts;
}

Value u16(std::uint16_t v) { return {ValueType::U16, {}, std::int64_t{v}}; }
Value u32(std::uint32_t v) { return {ValueType::U32, {}, std::int64_t{v}}; }
Value i32(std::int32_t v) { return {ValueType::I32, {}, std::int64_t{v}}; }
Value u64(std::uint64_t v) { return {ValueType::U64, {}, static_cast<std::int64_t>(v)}; }
Value f32(float v) { return {ValueType::F32, {}, double{v}}; }
Value f64(double v) { return {ValueType::F64, {}, v}; }
Value boolean(bool v) { return {ValueType::Bool, {}, std::int64_t{v}}; }
Value text(std::string v) { return {ValueType::String, {}, std::move(v)}; }
Value texts(Strings v) { return {ValueType::Array, ValueType::String, std::move(v)}; }
Value i32s(Integers v) { return {ValueType::Array, ValueType::I32, std::move(v)}; }
Value f32s(Reals v) { return {ValueType::Array, ValueType::F32, std::move(v)}; }
Value f64s(Reals v) { return {ValueType::Array, ValueType::F64, std::move(v)}; }

}  // namespace assay::gguf
