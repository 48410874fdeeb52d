#include "plan/uses.h"

#include <algorithm>

#include "model/visit.h"

namespace assay::plan {

namespace {

bool decides(Activation activation) {
    return activation == Activation::Exp || activation == Activation::Softplus;
}

Need chain_need(const model::Chain& chain) {
    return std::ranges::any_of(chain.links, [](const model::Link& link) { return decides(link.activation); })
               ? Need::F32
               : Need::Either;
}

/// The need of the values that a step reads beside its out.
Need need_of(const model::Operation& operation) {
    if (const auto* product = std::get_if<model::Product>(&operation))
        return product->precise ? Need::F32 : Need::Operand;
    if (std::holds_alternative<model::GatedProduct>(operation)) return Need::Operand;
    if (std::holds_alternative<model::Attend>(operation)) return Need::Activation;
    if (std::holds_alternative<model::CopyHeads>(operation)) return Need::Either;
    if (const auto* chain = std::get_if<model::Chain>(&operation)) return chain_need(*chain);
    return Need::F32;
}

}  // namespace

bool produces(const model::Operation& operation) {
    return std::holds_alternative<model::Normalise>(operation) ||
           std::holds_alternative<model::GatedProduct>(operation) ||
           std::holds_alternative<model::Attend>(operation) ||
           std::holds_alternative<model::Chain>(operation);
}

bool is_flexible(const model::Operation& operation) {
    const auto* product = std::get_if<model::Product>(&operation);
    return (product != nullptr && !product->precise) || std::holds_alternative<model::CopyHeads>(operation) ||
           std::holds_alternative<model::Chain>(operation);
}

std::vector<Use> uses_of(const StagePlan& stage, const Instruction& instruction) {
    switch (instruction.kind) {
        case Instruction::Kind::Compare: return {{instruction.x, Need::F32}, {instruction.y, Need::F32}};
        case Instruction::Kind::Observe:
            return {{instruction.x, instruction.y.present() ? Need::F32 : Need::Either}};
        case Instruction::Kind::Step: break;
    }
    const model::Step& step = stage.stage->steps[instruction.step];
    std::vector<Use> uses;
    const Need need = need_of(step.operation);
    for (const model::Value& value : model::inputs(step)) uses.push_back({value, need});
    if (const auto* attend = std::get_if<model::Attend>(&step.operation))
        if (attend->chosen.present()) uses.back().need = Need::F32;
    if (model::updates(step.operation))
        uses.back().need =
            std::holds_alternative<model::TurnHeads>(step.operation) ? Need::Either : Need::F32;
    return uses;
}

model::Value written_by(const StagePlan& stage, const Instruction& instruction) {
    if (instruction.kind == Instruction::Kind::Step) return stage.stage->steps[instruction.step].out;
    return instruction.kind == Instruction::Kind::Observe ? instruction.y : model::Value{};
}

}  // namespace assay::plan
