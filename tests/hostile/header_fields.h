// Where the fields of a GGUF header are, so that each can be made to lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace assay::test {

enum class FieldKind : std::uint8_t {
    Count,          ///< of tensors or pairs
    KeyLength,      ///< of a key's or a tensor's name
    Name,           ///< a key or a tensor's name
    ValueType,      ///< of a value or of an array's elements
    ArrayLength,    ///< elements
    Integer,        ///< a value on its own
    Real,           ///< a value on its own
    Text,           ///< a value on its own
    Element,        ///< a number in an array
    TextLength,     ///< of a value or an element
    NumDimensions,  ///< of a tensor
    Dimension,
    TensorType,
    Offset,
};
inline constexpr std::size_t kFieldKinds = 14;

struct Field {
    FieldKind kind;
    std::size_t offset = 0;  ///< from the start of the file
    std::size_t size = 0;    ///< bytes
    std::size_t pair = 0;    ///< number of the pair, or of the tensor behind all pairs
};

/// The fields of a header that is whole, in their order.
std::vector<Field> header_fields(std::span<const std::byte> header);

}  // namespace assay::test
