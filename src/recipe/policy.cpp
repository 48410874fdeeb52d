#include "recipe/policy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace assay::recipe {

using quant::TypeId;

namespace {

/// Parts of names that the quantisers leave alone.
constexpr std::array kLeftAlone = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};

constexpr std::array kDefaultTypes = {
    TypeId::Q2_K, TypeId::Q3_K, TypeId::IQ4_XS, TypeId::IQ4_NL, TypeId::Q4_0, TypeId::Q4_K, TypeId::Q4_1,
    TypeId::Q5_0, TypeId::Q5_K, TypeId::Q5_1,   TypeId::Q6_K,   TypeId::Q8_0, TypeId::F16,
};

/// The type of blocks of 32 that stands in for one of blocks of 256.
std::optional<TypeId> stand_in(TypeId type) noexcept {
    switch (type) {
        case TypeId::IQ1_S:
        case TypeId::IQ1_M:
        case TypeId::IQ2_XXS:
        case TypeId::IQ2_XS:
        case TypeId::IQ2_S:
        case TypeId::IQ3_XXS:
        case TypeId::IQ3_S:
        case TypeId::IQ4_XS: return TypeId::IQ4_NL;
        case TypeId::Q2_0:
        case TypeId::Q2_K:
        case TypeId::Q3_K:
        case TypeId::TQ1_0:
        case TypeId::TQ2_0: return TypeId::Q4_0;
        case TypeId::Q4_K: return TypeId::Q5_0;
        case TypeId::Q5_K: return TypeId::Q5_1;
        case TypeId::Q6_K: return TypeId::Q8_0;
        default: return std::nullopt;
    }
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

}  // namespace

std::string_view why_left_alone(const gguf::Tensor& tensor) {
    const std::string_view name = tensor.name;
    if (tensor.ne[1] <= 1 && tensor.ne[2] <= 1 && tensor.ne[3] <= 1) return "vectors are never quantised";
    if (!name.ends_with("weight")) return "quantisers take names that end in weight only";
    if (name.find("ffn_gate_inp.weight") != name.npos) return "quantisers leave routers as they are";
    const auto is_in = [&](std::string_view part) { return name.find(part) != name.npos; };
    if (name == "position_embd.weight" || name == "token_types.weight" ||
        std::any_of(kLeftAlone.begin(), kLeftAlone.end(), is_in))
        return "quantisers leave this kind as it is";
    return "";
}

bool is_quantised(const gguf::Tensor& tensor) { return why_left_alone(tensor).empty(); }

std::optional<TypeId> written_type(TypeId type, std::uint64_t n_in) {
    if (n_in % quant::type_info(type).block == 0) return type;
    const auto other = stand_in(type);
    if (!other) return std::nullopt;
    return n_in % quant::type_info(*other).block == 0 ? *other : TypeId::F16;
}

bool needs_data(TypeId type) noexcept {
    switch (type) {
        case TypeId::IQ1_S:
        case TypeId::IQ1_M:
        case TypeId::IQ2_XXS:
        case TypeId::IQ2_XS:
        case TypeId::IQ2_S:
        case TypeId::IQ3_XXS:
        case TypeId::Q2_K: return true;
        default: return false;
    }
}

std::string types_needing_data() {
    std::string names;
    for (const quant::TypeInfo& type : quant::all_types())
        if (needs_data(type.id)) names += (names.empty() ? "" : ", ") + std::string(type.name);
    return names;
}

bool is_token_embedding(std::string_view name) noexcept {
    return name == "token_embd.weight" || name == "per_layer_token_embd.weight";
}

bool is_output(std::string_view name) noexcept { return name == "output.weight"; }

std::vector<std::string> weights_wanting_data(const gguf::File& model) {
    std::vector<std::string> names;
    for (const gguf::Tensor& tensor : model.tensors())
        if (is_quantised(tensor) && !is_token_embedding(tensor.name) && !is_output(tensor.name))
            names.push_back(tensor.name);
    return names;
}

std::optional<TypeId> parse_type(std::string_view word) {
    const std::string wanted = lower(word);
    for (const quant::TypeInfo& type : quant::all_types())
        if (lower(type.name) == wanted) return type.id;
    return std::nullopt;
}

std::span<const TypeId> default_types() noexcept { return kDefaultTypes; }

std::string_view base_type(TypeId type) noexcept {
    switch (type) {
        case TypeId::Q2_K: return "Q2_K";
        case TypeId::Q3_K: return "Q3_K_M";
        case TypeId::Q4_K: return "Q4_K_M";
        case TypeId::Q5_K: return "Q5_K_M";
        case TypeId::Q6_K: return "Q6_K";
        case TypeId::Q4_0: return "Q4_0";
        case TypeId::Q4_1: return "Q4_1";
        case TypeId::Q5_0: return "Q5_0";
        case TypeId::Q5_1: return "Q5_1";
        case TypeId::IQ4_NL: return "IQ4_NL";
        case TypeId::IQ4_XS: return "IQ4_XS";
        default: return "Q8_0";
    }
}

}  // namespace assay::recipe
