// Which tensors make a unit, and which a type cannot take.
#include <algorithm>
#include <map>

#include "calibrate/sensitivity.h"
#include "core/error.h"
#include "model/visit.h"
#include "quant/encode.h"
#include "recipe/policy.h"
#include "recipe/rules.h"

namespace assay::calibrate {

namespace {

/// Names of all matrices that the pass reads.
std::set<std::string> weights_of(const model::Program& program) {
    std::set<std::string> names{program.output.linear.weight.name};
    const auto add = [&](const model::Stage& stage) {
        for (const model::Step& step : stage.steps) {
            if (const auto* lookup = std::get_if<model::Lookup>(&step.operation))
                names.insert(lookup->table.name);
            for (const model::Linear* linear : model::linears(step.operation))
                names.insert(linear->weight.name);
        }
    };
    add(program.start);
    for (const model::Layer& layer : program.layers) std::ranges::for_each(layer.stages, add);
    add(program.head);
    return names;
}

std::string without_suffix(const std::string& name) {
    constexpr std::string_view kSuffix = ".weight";
    return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : name;
}

std::string unit_of(const std::string& name, UnitBy by) {
    const recipe::SplitName split = recipe::split_block(name);
    if (by == UnitBy::Tensor) return name;
    if (by == UnitBy::Layer && split.block) return "blk." + std::to_string(*split.block);
    return without_suffix(split.kind);
}

void check(const std::vector<quant::TypeId>& types) {
    if (types.empty()) throw Error(ErrorKind::Usage, "--type", "needs a storage type, such as q4_K");
    for (const quant::TypeId type : types)
        if (quant::find_encoder(type) == nullptr)
            throw_error(ErrorKind::Usage, "--type", "this program cannot round to {}",
                        quant::type_info(type).name);
}

}  // namespace

std::string to_string(UnitBy by) {
    switch (by) {
        case UnitBy::Layer: return "layer";
        case UnitBy::Kind: return "kind";
        case UnitBy::Tensor: return "tensor";
    }
    return {};
}

RoundingPlan plan_rounding(const gguf::File& model, const model::Program& program, UnitBy by,
                           const std::vector<quant::TypeId>& types) {
    check(types);
    const std::set<std::string> used = weights_of(program);
    RoundingPlan plan;
    for (const quant::TypeId type : types) {
        const quant::TypeInfo& info = quant::type_info(type);
        std::map<std::string, std::size_t> index;
        perplexity::Unrounded unrounded{std::string(info.name), {}};
        for (const gguf::Tensor& tensor : model.tensors()) {
            if (!used.contains(tensor.name) || !recipe::is_quantised(tensor)) continue;
            if (tensor.ne[0] % info.block != 0) {
                unrounded.tensors.push_back(tensor.name);
                continue;
            }
            const std::string name = unit_of(tensor.name, by);
            const auto [at, fresh] = index.try_emplace(name, plan.units.size());
            if (fresh) plan.units.push_back({name, type, {}, 0});
            plan.units[at->second].tensors.insert(tensor.name);
            plan.units[at->second].weights += tensor.elements();
        }
        if (!unrounded.tensors.empty()) plan.unrounded.push_back(std::move(unrounded));
    }
    if (plan.units.empty())
        throw Error(ErrorKind::Usage, "--type", "no tensor of the model has rows that fit any of the types");
    return plan;
}

}  // namespace assay::calibrate
