#include "recipe/standing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "quant/type_table.h"
#include "recipe/rules.h"

namespace assay::recipe {

namespace {

constexpr double kLeastShare = 0.2;

constexpr std::array<std::string_view, 3> kMixerWriters = {"attn_output.weight", "ssm_out.weight",
                                                           "shortconv.out_proj.weight"};
constexpr std::array<std::string_view, 2> kFeedForwardWriters = {"ffn_down.weight", "ffn_down_exps.weight"};

/// What the parts of one layer add; 0 when not known.
struct Added {
    double mixer = 0.0;
    double feed_forward = 0.0;
};

double sum_of_squares(const gguf::File& model, const gguf::Tensor& tensor) {
    if (tensor.rows() != 1) return 0.0;
    std::vector<float> gain(tensor.ne[0]);
    tensor.type->decode(model.data(tensor).data(), gain.size(), gain.data());
    double sum = 0.0;
    for (const float g : gain) sum += static_cast<double>(g) * g;
    return sum;
}

/// Where norms follow both parts, their gains say what is added, whatever the matrices before them do.
void apply_norms(const gguf::File& model, std::uint64_t block, Added& added) {
    const std::string start = "blk." + std::to_string(block) + ".";
    const gguf::Tensor* mixer = model.find(start + "post_attention_norm.weight");
    const gguf::Tensor* feed_forward = model.find(start + "post_ffw_norm.weight");
    if (mixer == nullptr || feed_forward == nullptr) return;
    added = {sum_of_squares(model, *mixer), sum_of_squares(model, *feed_forward)};
}

bool contains(std::span<const std::string_view> names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

double Standing::of(std::string_view name) const {
    const SplitName split = split_block(name);
    if (!split.block) return 1.0;
    if (split.kind.starts_with("ffn_")) return feed_forward;
    for (const std::string_view start : {"attn_", "ssm_", "shortconv.", "time_mix_"})
        if (split.kind.starts_with(start)) return mixer;
    return 1.0;
}

Standing find_standing(const gguf::File& model, std::span<const NamedEnergy> energies) {
    std::map<std::uint64_t, Added> layers;
    for (const NamedEnergy& tensor : energies) {
        const SplitName name = split_block(tensor.name);
        if (!name.block) continue;
        if (contains(kMixerWriters, name.kind)) layers[*name.block].mixer += tensor.energy;
        if (contains(kFeedForwardWriters, name.kind)) layers[*name.block].feed_forward += tensor.energy;
    }
    std::vector<double> shares;
    for (auto& [block, added] : layers) {
        apply_norms(model, block, added);
        if (added.mixer > 0.0 && added.feed_forward > 0.0)
            shares.push_back(added.mixer / (added.mixer + added.feed_forward));
    }
    if (shares.empty()) return {};
    const auto middle = shares.begin() + static_cast<std::ptrdiff_t>(shares.size() / 2);
    std::nth_element(shares.begin(), middle, shares.end());
    const double share = std::clamp(*middle, kLeastShare, 1.0 - kLeastShare);
    return {2.0 * share, 2.0 * (1.0 - share)};
}

}  // namespace assay::recipe
