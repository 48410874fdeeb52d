#include "recipe/groups.h"

#include <algorithm>
#include <map>
#include <regex>

#include "core/error.h"
#include "recipe/policy.h"
#include "recipe/rules.h"

namespace assay::recipe {

using quant::TypeId;

namespace {

/// The sort of a tensor: equal for those that must share a type within a block.
std::string sort_of(const std::string& kind) {
    static const std::regex kJointExperts("^ffn_(gate|up)_exps\\.weight$");
    static const std::regex kSingleExpert("^(ffn_[a-z]+)\\.[0-9]+\\.weight$");
    if (is_token_embedding(kind)) return "token_embd";
    if (std::regex_match(kind, kJointExperts)) return "ffn_gate_up_exps";
    std::smatch match;
    if (!std::regex_match(kind, match, kSingleExpert)) return kind;
    const std::string product = match[1];
    return product == "ffn_gate" || product == "ffn_up" ? "ffn_gate_up experts" : product + " experts";
}

std::vector<TypeId> types_of(const Measured& tensor) {
    std::vector<TypeId> types;
    for (const auto& candidate : tensor.candidates) types.push_back(candidate.type);
    return types;
}

double cost_of(const Group& group, TypeId type, std::span<const Measured> tensors) {
    double sum = 0.0;
    for (const std::size_t m : group.members) sum += tensors[m].get(type).cost;
    return sum;
}

bool similar(const Group& a, const Group& b, std::span<const Measured> tensors, double tolerance) {
    if (a.types != b.types || a.members.size() != b.members.size()) return false;
    return std::all_of(a.types.begin(), a.types.end(), [&](TypeId type) {
        const double x = cost_of(a, type, tensors);
        const double y = cost_of(b, type, tensors);
        return std::max(x, y) <= (1.0 + tolerance) * std::min(x, y);
    });
}

/// Adds the tensor to the group and keeps the types that both can have. False when there is none.
bool join(Group& group, std::size_t index, const Measured& tensor) {
    std::vector<TypeId> common;
    const auto theirs = types_of(tensor);
    for (const TypeId type : group.types)
        if (std::find(theirs.begin(), theirs.end(), type) != theirs.end()) common.push_back(type);
    if (common.empty()) return false;
    group.types = common;
    group.members.push_back(index);
    return true;
}

/// Runs of neighbouring blocks. Every member of a run is similar to each other, since costs are compared
/// between all of them.
std::vector<Group> merge_blocks(const std::map<std::uint64_t, Group>& blocks,
                                std::span<const Measured> tensors, double tolerance) {
    std::vector<Group> merged;
    std::vector<const Group*> run;
    std::uint64_t last = 0;
    for (const auto& [block, group] : blocks) {
        const bool fits = tolerance > 0.0 && !run.empty() && block == last + 1 &&
                          std::all_of(run.begin(), run.end(), [&, &group = group](const Group* member) {
                              return similar(*member, group, tensors, tolerance);
                          });
        if (!fits) {
            run.clear();
            merged.push_back({{}, group.types});
        }
        run.push_back(&group);
        merged.back().members.insert(merged.back().members.end(), group.members.begin(), group.members.end());
        last = block;
    }
    return merged;
}

}  // namespace

const Measured::Candidate& Measured::get(TypeId type) const {
    for (const Candidate& candidate : candidates)
        if (candidate.type == type) return candidate;
    throw_error(ErrorKind::Internal, name, "type {} was not measured", quant::type_info(type).name);
}

std::vector<Group> group_tensors(std::span<const Measured> tensors, double merge_tolerance) {
    std::vector<Group> groups;
    std::map<std::string, Group> outside;
    std::map<std::string, std::map<std::uint64_t, Group>> inside;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const Group alone{{i}, types_of(tensors[i])};
        if (tensors[i].kept) {
            groups.push_back(alone);
            continue;
        }
        const SplitName name = split_block(tensors[i].name);
        const std::string sort = sort_of(name.kind);
        Group& group = name.block ? inside[sort][*name.block] : outside[sort];
        if (group.members.empty())
            group = alone;
        else if (!join(group, i, tensors[i]))
            groups.push_back(alone);
    }
    for (const auto& [sort, group] : outside) groups.push_back(group);
    for (const auto& [sort, blocks] : inside)
        for (Group& group : merge_blocks(blocks, tensors, merge_tolerance))
            groups.push_back(std::move(group));
    return groups;
}

}  // namespace assay::recipe
