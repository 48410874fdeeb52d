#include "quant/type_table.h"

#include <array>
#include <limits>

#include "core/error.h"

namespace assay::quant {

namespace {
constexpr std::array<TypeInfo, 2> kTypes{{
    {TypeId::F32, "f32", 1, 4, 0, nullptr},
    {TypeId::F16, "f16", 1, 2, 0, nullptr},
}};
}  // namespace

std::span<const TypeInfo> all_types() noexcept { return kTypes; }

const TypeInfo* find_type(std::uint32_t id) noexcept {
    for (const TypeInfo& type : kTypes)
        if (static_cast<std::uint32_t>(type.id) == id) return &type;
    return nullptr;
}

const TypeInfo& type_info(TypeId id) {
    if (const TypeInfo* type = find_type(static_cast<std::uint32_t>(id))) return *type;
    throw_error(ErrorKind::Internal, "quant", "type id {} is not in the table",
                static_cast<std::uint32_t>(id));
}

std::uint64_t row_bytes(const TypeInfo& type, std::uint64_t n) {
    const std::uint64_t blocks = n / type.block;
    if (n % type.block != 0 ||
        blocks > (std::numeric_limits<std::uint64_t>::max() - type.row_meta) / type.block_bytes)
        throw_error(ErrorKind::Shape, type.name,
                    "a row of {} weights, expected a multiple of {} that fits 64 bits", n, type.block);
    return type.row_meta + blocks * type.block_bytes;
}

}  // namespace assay::quant
