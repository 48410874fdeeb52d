#include "quant/row_reader.h"

#include <algorithm>

namespace assay::quant {

RowReader::RowReader(const TypeInfo& type, std::uint64_t n_in, Isa isa)
    : decode_(decoder(type.id, isa)),
      n_in_(static_cast<std::size_t>(n_in)),
      group_rows_(type.group_rows),
      group_bytes_(row_bytes(type, n_in) * type.group_rows),
      group_(type.group_rows == 1 ? 0 : n_in_ * type.group_rows) {}

void RowReader::read(const std::byte* matrix, std::uint64_t row, float* out) {
    const std::byte* group = matrix + row / group_rows_ * group_bytes_;
    if (group_rows_ == 1) return decode_(group, n_in_, out);
    decode_(group, n_in_, group_.data());
    std::copy_n(group_.data() + row % group_rows_ * n_in_, n_in_, out);
}

}  // namespace assay::quant
