#include "model/registry.h"

#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

#include "core/error.h"
#include "model/arch/architectures.h"
#include "model/unread.h"

namespace assay::model {

namespace {

constexpr auto kArchitectures = std::to_array<std::pair<std::string_view, BuildFunction>>({
    {"afmoe", build_afmoe},
    {"apertus", build_apertus},
    {"arcee", build_arcee},
    {"baichuan", build_baichuan},
    {"bailingmoe", build_bailingmoe},
    {"bailingmoe2", build_bailingmoe2},
    {"bitnet", build_bitnet},
    {"bloom", build_bloom},
    {"chatglm", build_chatglm},
    {"codeshell", build_codeshell},
    {"cohere2", build_cohere2},
    {"command-r", build_command_r},
    {"dbrx", build_dbrx},
    {"deepseek", build_deepseek},
    {"deepseek2", build_deepseek2},
    {"dots1", build_dots1},
    {"dream", build_dream},
    {"ernie4_5", build_ernie4_5},
    {"ernie4_5-moe", build_ernie4_5},
    {"exaone", build_exaone},
    {"exaone-moe", build_exaone_moe},
    {"exaone4", build_exaone4},
    {"falcon", build_falcon},
    {"falcon-h1", build_falcon_h1},
    {"gemma", build_gemma},
    {"gemma2", build_gemma2},
    {"gemma3", build_gemma3},
    {"glm4", build_glm4},
    {"glm4moe", build_glm4moe},
    {"gpt-oss", build_gpt_oss},
    {"gpt2", build_gpt2},
    {"gptneox", build_gptneox},
    {"granite", build_granite},
    {"granite_swa", build_granite_swa},
    {"granitehybrid", build_granitehybrid},
    {"granitemoe", build_granite},
    {"hunyuan-dense", build_hunyuan_dense},
    {"hunyuan-moe", build_hunyuan_moe},
    {"hunyuan_vl", build_hunyuan_dense},
    {"hy_v3", build_hy_v3},
    {"internlm2", build_internlm2},
    {"jais", build_jais},
    {"jais2", build_jais2},
    {"lfm2", build_lfm2},
    {"lfm2moe", build_lfm2},
    {"llada", build_llada},
    {"llada-moe", build_llada_moe},
    {"llama", build_llama},
    {"maincoder", build_maincoder},
    {"mamba2", build_mamba2},
    {"maple", build_maple},
    {"mellum", build_mellum},
    {"minicpm", build_minicpm},
    {"minimax-m2", build_minimax_m2},
    {"mistral3", build_mistral3},
    {"mistral4", build_mistral4},
    {"mpt", build_mpt},
    {"muse-glimmer", build_muse_glimmer},
    {"nemotron", build_nemotron},
    {"nemotron_h", build_nemotron_h},
    {"nemotron_h_moe", build_nemotron_h},
    {"olmo", build_olmo},
    {"olmo2", build_olmo2},
    {"olmoe", build_olmoe},
    {"openelm", build_openelm},
    {"orion", build_orion},
    {"paddleocr", build_ernie4_5},
    {"pangu-embedded", build_pangu},
    {"phi2", build_phi2},
    {"phi3", build_phi3},
    {"phimoe", build_phimoe},
    {"plamo", build_plamo},
    {"plamo3", build_plamo3},
    {"qwen", build_qwen},
    {"qwen2", build_qwen2},
    {"qwen2moe", build_qwen2moe},
    {"qwen2vl", build_qwen2vl},
    {"qwen3", build_qwen3},
    {"qwen35", build_qwen35},
    {"qwen35moe", build_qwen35moe},
    {"qwen3moe", build_qwen3moe},
    {"qwen3next", build_qwen3next},
    {"qwen3vl", build_qwen3vl},
    {"qwen3vlmoe", build_qwen3vlmoe},
    {"refact", build_refact},
    {"rnd1", build_rnd1},
    {"seed_oss", build_seed_oss},
    {"smollm3", build_smollm3},
    {"spark2_5", build_spark2_5},
    {"stablelm", build_stablelm},
    {"starcoder", build_gpt2},
    {"starcoder2", build_starcoder2},
    {"xverse", build_internlm2},
});

/// Programs spell some names differently: glm5-next and glm5next, cohere2moe and cohere2_moe.
bool same_name(std::string_view a, std::string_view b) {
    const auto is_letter = [](char c) { return c != '-' && c != '_'; };
    return std::ranges::equal(a | std::views::filter(is_letter), b | std::views::filter(is_letter));
}

}  // namespace

std::vector<std::string_view> known_architectures() {
    std::vector<std::string_view> names;
    for (const auto& [name, build_function] : kArchitectures) names.push_back(name);
    return names;
}

Program build(const gguf::File& file, const BuildOptions& options) {
    const std::string architecture(file.metadata().get_string("general.architecture"));
    for (const auto& [name, write] : kArchitectures)
        if (same_name(name, architecture)) {
            Builder builder(file, std::string(name), options);
            write(builder);
            refuse_unread(file, builder.hp(), builder.tensors().used());
            return builder.take();
        }
    throw_error(ErrorKind::Unsupported, file.where(), "architecture {} is not known; known are {}",
                architecture, fmt::join(known_architectures(), ", "));
}

}  // namespace assay::model
