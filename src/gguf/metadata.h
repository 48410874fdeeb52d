// Key/value metadata of a GGUF file. Integers of any width read as int64, reals of any width as double,
// because files in the wild disagree about widths.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace assay::gguf {

/// Type ids of values as stored in files.
enum class ValueType : std::uint32_t {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
};

std::string_view to_string(ValueType type) noexcept;

using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;
using Strings = std::vector<std::string>;

/// A variant that may be copied where memory is exhausted: in libstdc++ 12 a copy of std::variant that throws
/// leaves the new one without a value, and its destructor, which takes that to be impossible for these types,
/// goes astray.
struct ValueData : std::variant<std::int64_t, double, std::string, Integers, Reals, Strings> {
    using Variant = std::variant<std::int64_t, double, std::string, Integers, Reals, Strings>;
    using Variant::Variant;
    using Variant::operator=;
    ValueData() = default;
    ~ValueData() = default;
    ValueData(ValueData&&) noexcept = default;
    ValueData& operator=(ValueData&&) noexcept = default;
    ValueData(const ValueData& other) : Variant(copy(other)) {}
    ValueData& operator=(const ValueData& other) {
        static_cast<Variant&>(*this) = copy(other);
        return *this;
    }

  private:
    /// What is in it is copied before there is a variant.
    static Variant copy(const Variant& other) {
        return std::visit([](auto value) { return Variant(std::move(value)); }, other);
    }
};

/// One value. `type` is what the file says; for arrays `element` is the type of the elements (booleans are
/// kept as integers there). A u64 above the range of int64 is kept modulo 2^64.
struct Value {
    ValueType type = ValueType::U32;
    ValueType element = ValueType::U32;
    ValueData data;
};

/// Keys and values that take the place of a file's, or join them. In a key, `{arch}` at the beginning stands
/// for the model's general.architecture.
using Overrides = std::vector<std::pair<std::string, Value>>;

/// What became of an override.
struct Overridden {
    std::string key;
    std::optional<Value> before;  ///< the file's own; nothing where it has no such key
    bool read = false;            ///< some find_* or get_* has asked for it since
};

/// A key that was overridden is marked when it is read, also through a const object: where overrides were
/// applied, one thread at a time may read.
class Metadata {
  public:
    /// `where` names the file in errors.
    explicit Metadata(std::string where = {}) : where_(std::move(where)) {}

    const std::string& where() const noexcept { return where_; }

    /// False when the key exists already (nothing is changed then).
    bool insert(std::string key, Value value);
    void set(std::string key, Value value) { values_[std::move(key)] = std::move(value); }
    /// In order. Throws Error{Usage} where the file holds a value of another kind (an integer serves as a
    /// real, not the reverse).
    void apply(const Overrides& overrides);

    /// By key, each once.
    std::span<const Overridden> overridden() const noexcept { return overridden_; }

    const Value* find(std::string_view key) const;
    /// By key.
    const std::map<std::string, Value, std::less<>>& values() const noexcept { return values_; }

    // find_*: nothing when the key is absent. get_*: throws Error{BadFile} naming the missing key.
    // Both throw Error{BadFile} when the value is of another kind (an integer serves as a real, not the
    // reverse).
    std::optional<std::int64_t> find_integer(std::string_view key) const;
    std::optional<double> find_real(std::string_view key) const;
    std::optional<bool> find_bool(std::string_view key) const;
    std::optional<std::string_view> find_string(std::string_view key) const;
    const Integers* find_integers(std::string_view key) const;
    const Strings* find_strings(std::string_view key) const;
    /// An array of reals or of integers, as reals.
    std::optional<Reals> find_reals(std::string_view key) const;

    std::int64_t get_integer(std::string_view key) const;
    double get_real(std::string_view key) const;
    std::string_view get_string(std::string_view key) const;

  private:
    [[noreturn]] void wrong_kind(std::string_view key, const Value& value, std::string_view expected) const;
    [[noreturn]] void missing(std::string_view key) const;

    std::map<std::string, Value, std::less<>> values_;
    mutable std::vector<Overridden> overridden_;
    std::string where_;
};

/// "KEY = VALUE (the file: VALUE)" for each override that something has read, and a sentence for each that
/// nothing has: to be asked for when model and tokenizer are there.
struct OverrideTexts {
    std::vector<std::string> read, unread;
};
OverrideTexts describe_overrides(const Metadata& metadata);

// Values as a writer wants them.
Value u16(std::uint16_t v);
Value u32(std::uint32_t v);
Value i32(std::int32_t v);
Value u64(std::uint64_t v);
Value f32(float v);
Value f64(double v);
Value boolean(bool v);
Value text(std::string v);
Value texts(Strings v);
Value i32s(Integers v);
Value f32s(Reals v);
Value f64s(Reals v);

}  // namespace assay::gguf
