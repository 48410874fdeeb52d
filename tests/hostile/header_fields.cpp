#include "hostile/header_fields.h"

#include <string>

#include "core/bytes.h"

namespace assay::test {

namespace {

constexpr std::size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};  // of values, by type
constexpr std::uint32_t kF32 = 6, kString = 8, kArray = 9, kF64 = 12;

class Walk {
  public:
    explicit Walk(std::span<const std::byte> header) : in_(header, "header") {}

    std::vector<Field> run() {
        in_.take(8, "magic and version");
        const auto n_tensors = number(FieldKind::Count, 8), n_pairs = number(FieldKind::Count, 8);
        for (; pair_ < n_pairs; ++pair_) {
            text(FieldKind::KeyLength, FieldKind::Name);
            value();
        }
        for (; pair_ < n_pairs + n_tensors; ++pair_) tensor();
        return std::move(fields_);
    }

  private:
    std::uint64_t number(FieldKind kind, std::size_t size) {
        fields_.push_back({kind, in_.position(), size, pair_});
        std::uint64_t value = 0;
        std::memcpy(&value, in_.take(size, "field").data(), size);
        return value;
    }
    void text(FieldKind length, FieldKind kind) {
        const std::uint64_t n = number(length, 8);
        if (n == 0) return;
        fields_.push_back({kind, in_.position(), static_cast<std::size_t>(n), pair_});
        in_.take(n, "text");
    }
    void value() {
        const auto type = static_cast<std::uint32_t>(number(FieldKind::ValueType, 4));
        if (type == kArray) return array();
        if (type == kString) return text(FieldKind::TextLength, FieldKind::Text);
        number(type == kF32 || type == kF64 ? FieldKind::Real : FieldKind::Integer, kSizes[type]);
    }
    void array() {
        const auto type = static_cast<std::uint32_t>(number(FieldKind::ValueType, 4));
        const std::uint64_t n = number(FieldKind::ArrayLength, 8);
        for (std::uint64_t i = 0; i < n; ++i)
            if (type == kString)
                in_.take(number(FieldKind::TextLength, 8), "element");
            else
                number(FieldKind::Element, kSizes[type]);
    }
    void tensor() {
        text(FieldKind::KeyLength, FieldKind::Name);
        const std::uint64_t n_dims = number(FieldKind::NumDimensions, 4);
        for (std::uint64_t i = 0; i < n_dims; ++i) number(FieldKind::Dimension, 8);
        number(FieldKind::TensorType, 4);
        number(FieldKind::Offset, 8);
    }

    ByteReader in_;
    std::size_t pair_ = 0;
    std::vector<Field> fields_;
};

}  // namespace

std::vector<Field> header_fields(std::span<const std::byte> header) { return Walk(header).run(); }

}  // namespace assay::test
