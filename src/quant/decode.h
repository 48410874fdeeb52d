// The fastest decoder of a type for an instruction set; the scalar one where no faster exists.
#pragma once

#include "core/cpu.h"
#include "quant/type_table.h"

namespace assay::quant {

/// Equal to the scalar decoder bit for bit on finite scales: the same operations in the same order per
/// weight. `isa` must not exceed detect_isa(). Throws Error{Internal} for an id that is not in the table.
DecodeRows decoder(TypeId id, Isa isa);

}  // namespace assay::quant
