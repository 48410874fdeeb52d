#include "hostile/mutator.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <ranges>
#include <span>

#include "gguf/file.h"
#include "model/registry.h"

namespace assay::test {

namespace {

constexpr std::string_view kWords[kFieldKinds] = {
    "count", "key length", "name",        "value type", "array length", "integer",     "real",
    "text",  "element",    "text length", "dimensions", "dimension",    "tensor type", "offset"};
/// How often a field of each kind lies, whatever their number.
constexpr std::array<int, kFieldKinds> kWeights{3, 3, 5, 5, 6, 30, 10, 5, 8, 4, 4, 15, 8, 5};

template <typename T, std::size_t kCount> T one_of(const T (&values)[kCount], std::mt19937_64& random) {
    return values[random() % kCount];
}

std::uint64_t other_integer(std::uint64_t value, std::mt19937_64& random) {
    constexpr std::uint64_t kOdd[] = {
        0,          1,          2,     3,          4,          5,          7,          8,          15,
        16,         17,         31,    32,         63,         64,         65,         100,        127,
        128,        129,        255,   256,        257,        511,        512,        1000,       1024,
        4095,       4096,       4097,  32767,      32768,      65535,      65536,      1 << 20,    1 << 24,
        1 << 30,    1u << 31,   ~0u,   1ull << 32, 1ull << 33, 1ull << 40, 1ull << 53, 1ull << 61, 1ull << 62,
        ~0ull >> 1, 1ull << 63, ~0ull, ~0ull - 1};
    switch (random() % 8) {
        case 0: return value + 1;
        case 1: return value - 1;
        case 2: return value * 2;
        case 3: return value / 2;
        case 4: return value ^ (1ull << random() % 64);
        case 5: return value + random() % 64;
        default: return one_of(kOdd, random);
    }
}

double other_real(double value, std::mt19937_64& random) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kOdd[] = {0.0,  -0.0,  1.0,       -1.0,       0.5,
                               2.0,  1e-45, 1e-30,     1e30,       -1e30,
                               3e38, 1e300, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN(),
                               1e4,  1e9,   1e-9,      0.1};
    return random() % 4 == 0 ? -value : one_of(kOdd, random);
}

}  // namespace

Mutator::Mutator(std::vector<std::byte> head, std::size_t file_bytes, std::string architecture)
    : head_(std::move(head)), file_bytes_(file_bytes), architecture_(std::move(architecture)) {
    if (!gguf::has_magic(head_)) return;
    all_fields_ = header_fields(head_);
    for (const Field& field : all_fields_) fields_[static_cast<std::size_t>(field.kind)].push_back(field);
}

void Mutator::change_field(Mutation& mutation, Random& random) const {
    std::discrete_distribution<std::size_t> kinds(kWeights.begin(), kWeights.end());
    std::size_t kind = kinds(random);
    while (fields_[kind].empty()) kind = kinds(random);
    const Field& field = fields_[kind][random() % fields_[kind].size()];
    std::byte* at = mutation.head.data() + field.offset;
    if (field.kind == FieldKind::Name || field.kind == FieldKind::Text) {
        at[random() % field.size] = static_cast<std::byte>(random());
    } else if (field.kind == FieldKind::Real) {
        if (field.size == 4) {
            float value = 0;
            std::memcpy(&value, at, 4);
            value = static_cast<float>(other_real(value, random));
            std::memcpy(at, &value, 4);
        } else {
            double value = 0;
            std::memcpy(&value, at, 8);
            value = other_real(value, random);
            std::memcpy(at, &value, 8);
        }
    } else {
        std::uint64_t value = 0;
        std::memcpy(&value, at, field.size);
        value = field.kind == FieldKind::ValueType    ? random() % 14
                : field.kind == FieldKind::TensorType ? random() % 45
                                                      : other_integer(value, random);
        std::memcpy(at, &value, field.size);
    }
    mutation.what += fmt::format(" {} of pair {} at byte {};", kWords[kind], field.pair, field.offset);
}

void Mutator::change_bytes(Mutation& mutation, Random& random) const {
    const std::size_t sizes[] = {1, 2, 4, 8};
    const std::size_t size = std::min(one_of(sizes, random), mutation.head.size());
    const std::size_t at = random() % (mutation.head.size() - size + 1);
    std::uint64_t value = 0;
    std::memcpy(&value, mutation.head.data() + at, size);
    value = other_integer(value, random);
    std::memcpy(mutation.head.data() + at, &value, size);
    mutation.what += fmt::format(" {} bytes at {};", size, at);
}

void Mutator::change_architecture(Mutation& mutation, Random& random) const {
    const auto names = model::known_architectures();
    const std::string name(names[random() % names.size()]);
    const auto begins = [&](const Field& field) {
        return field.size >= architecture_.size() &&
               std::memcmp(head_.data() + field.offset, architecture_.data(), architecture_.size()) == 0;
    };
    std::vector<std::byte>& head = mutation.head;
    for (const Field& field : std::views::reverse(all_fields_)) {
        if ((field.kind != FieldKind::Name && field.kind != FieldKind::Text) || !begins(field)) continue;
        const auto at = head.begin() + static_cast<std::ptrdiff_t>(field.offset);
        const auto behind = head.erase(at, at + static_cast<std::ptrdiff_t>(architecture_.size()));
        const auto bytes = std::as_bytes(std::span(name));
        head.insert(behind, bytes.begin(), bytes.end());
        const std::uint64_t length = field.size - architecture_.size() + name.size();
        std::memcpy(head.data() + field.offset - sizeof length, &length, sizeof length);
    }
    mutation.what = " architecture " + name + ";";
}

Mutation Mutator::mutation(std::uint64_t number) const {
    Random random(number * 0x9E3779B97F4A7C15 + 1);
    Mutation mutation{head_, file_bytes_, ""};
    const bool is_gguf = !all_fields_.empty();
    const std::uint64_t way = random() % 100;
    const std::uint64_t times = random() % 10 < 7 ? 1 : 2 + random() % 2;
    if (way < 4) {
        mutation.size = random() % file_bytes_;
        mutation.what = fmt::format(" cut to {} bytes;", mutation.size);
    } else if (!architecture_.empty() && way < 8) {
        change_architecture(mutation, random);
    } else {
        for (std::uint64_t i = 0; i < times; ++i)
            if (is_gguf && way < 90)
                change_field(mutation, random);
            else
                change_bytes(mutation, random);
    }
    return mutation;
}

}  // namespace assay::test
