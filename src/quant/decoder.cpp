#include "quant/decode.h"

namespace assay::quant {

DecodeRow decoder(TypeId id, Isa /*isa*/) { return type_info(id).decode; }

}  // namespace assay::quant
