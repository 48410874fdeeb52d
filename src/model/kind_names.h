// Words for the kinds of core/kinds.h, for those who read a program. Private to the room.
#pragma once

#include <string>

#include "core/kinds.h"

namespace assay::model {

const char* name_of(Activation activation);
const char* name_of(NormKind kind);
const char* name_of(Reduction reduction);
const char* name_of(Gating gating);
const char* name_of(Pairing pairing);
const char* name_of(WindowKind kind);
const char* name_of(ScanKind kind);
/// "silu(gate) * up", with the limits of those that have some; `gated`: there is a gate.
std::string describe(const GateFunction& function, bool gated);

}  // namespace assay::model
