// The two compiled copies of decode_simd.h. Private to this room; call only where the processor has the set.
#pragma once

#include "quant/type_table.h"

namespace assay::quant {

/// nullptr for types without a vector decoder.
DecodeRows find_avx2_decoder(TypeId id) noexcept;
DecodeRows find_avx512_decoder(TypeId id) noexcept;

}  // namespace assay::quant
