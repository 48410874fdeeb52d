// What instructions read and write, and in which form. Private to the plan.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"

namespace assay::plan {

/// How an instruction takes a value.
enum class Need : std::uint8_t {
    Operand,  ///< as the input of products
    F32,
    Activation,  ///< the type of products' results
    Either,
};

struct Use {
    model::Value value{};
    Need need = Need::F32;
};

/// What an instruction reads; an out that is updated comes last.
std::vector<Use> uses_of(const StagePlan& stage, const Instruction& instruction);
/// What it writes; absent: nothing.
model::Value written_by(const StagePlan& stage, const Instruction& instruction);
/// Operations that leave their result as the input of products at once.
bool produces(const model::Operation& operation);
/// Operations whose result may be f32 or activations; that of others is f32.
bool is_flexible(const model::Operation& operation);

/// The same columns of the same value.
inline bool same(const model::Value& a, const model::Value& b) {
    return a.id == b.id && a.first == b.first && a.cols == b.cols;
}

}  // namespace assay::plan
