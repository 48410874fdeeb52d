#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "fuzz/support.h"
#include "quant/decode.h"

namespace assay::fuzz {

namespace {

constexpr std::size_t kMostBlocks = 8;  // of a row

/// Bits are promised for finite scales: where the reference has no number, the others have none either.
bool same(float reference, float value) {
    return std::memcmp(&reference, &value, sizeof value) == 0 ||
           (!std::isfinite(reference) && !std::isfinite(value));
}

}  // namespace

void examine_blocks(Bytes bytes) {
    if (bytes.empty()) return;
    const auto types = quant::all_types();
    const quant::TypeInfo& type = types[static_cast<std::size_t>(bytes.front()) % types.size()];
    const std::size_t share = (bytes.size() - 1) / type.group_rows;  // of a row
    if (share < type.row_meta + type.block_bytes) return;
    const std::size_t n_blocks = std::min(kMostBlocks, (share - type.row_meta) / type.block_bytes);
    const std::size_t n = n_blocks * type.block;
    const std::size_t n_bytes = (type.row_meta + n_blocks * type.block_bytes) * type.group_rows;
    const std::vector<std::byte> rows(bytes.begin() + 1,
                                      bytes.begin() + 1 + static_cast<std::ptrdiff_t>(n_bytes));
    std::vector<float> reference(n * type.group_rows);
    type.decode(rows.data(), n, reference.data());
    for (const Isa isa : {Isa::Avx2, Isa::Avx512}) {
        if (isa > detect_isa()) break;
        std::vector<float> values(reference.size());
        quant::decoder(type.id, isa)(rows.data(), n, values.data());
        expect(std::ranges::equal(reference, values, same),
               std::string("all decoders of ") + std::string(type.name) + " agree");
    }
}

}  // namespace assay::fuzz
