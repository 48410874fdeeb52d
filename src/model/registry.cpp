#include "model/registry.h"

#include <algorithm>
#include <array>
#include <string>
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
    {"arctic", build_arctic},
    {"arwkv7", build_arwkv7},
    {"baichuan", build_baichuan},
    {"bailingmoe", build_bailingmoe},
    {"bailingmoe2", build_bailingmoe2},
    {"bailingmoe3", build_bailingmoe3},
    {"bitnet", build_bitnet},
    {"bloom", build_bloom},
    {"chameleon", build_chameleon},
    {"chatglm", build_chatglm},
    {"codeshell", build_codeshell},
    {"cogvlm", build_cogvlm},
    {"cohere2", build_cohere2},
    {"cohere2moe", build_cohere2moe},
    {"command-r", build_command_r},
    {"dbrx", build_dbrx},
    {"deci", build_deci},
    {"deepseek", build_deepseek},
    {"deepseek2", build_deepseek2},
    {"deepseek2-ocr", build_deepseek2_ocr},
    {"deepseek32", build_deepseek32},
    {"deepseek4", build_deepseek4},
    {"dots1", build_dots1},
    {"dots3note", build_dots3note},
    {"dream", build_dream},
    {"ernie4_5", build_ernie4_5},
    {"ernie4_5-moe", build_ernie4_5},
    {"exaone", build_exaone},
    {"exaone-moe", build_exaone_moe},
    {"exaone4", build_exaone4},
    {"falcon", build_falcon},
    {"falcon-h1", build_falcon_h1},
    {"gemma", build_gemma},
    {"gemma-embedding", build_gemma_embedding},
    {"gemma2", build_gemma2},
    {"gemma3", build_gemma3},
    {"gemma3n", build_gemma3n},
    {"gemma4", build_gemma4},
    {"glm-dsa", build_glm_dsa},
    {"glm4", build_glm4},
    {"glm4moe", build_glm4moe},
    {"glm5-next", build_glm5_next},
    {"gpt-oss", build_gpt_oss},
    {"gpt2", build_gpt2},
    {"gptneox", build_gptneox},
    {"granite", build_granite},
    {"granite_swa", build_granite_swa},
    {"granitehybrid", build_granitehybrid},
    {"granitemoe", build_granite},
    {"graniteswitch", build_granite},
    {"grok", build_grok},
    {"grovemoe", build_grovemoe},
    {"hrm_text", build_hrm_text},
    {"hunyuan-dense", build_hunyuan_dense},
    {"hunyuan-moe", build_hunyuan_moe},
    {"hunyuan_vl", build_hunyuan_dense},
    {"hy_v3", build_hy_v3},
    {"hy_v4", build_hy_v4},
    {"internlm2", build_internlm2},
    {"jais", build_jais},
    {"jais2", build_jais2},
    {"jamba", build_jamba},
    {"k2-horizon", build_k2_horizon},
    {"kimi-k3", build_kimi_k3},
    {"kimi-linear", build_kimi_linear},
    {"kolibri1", build_kolibri1},
    {"laguna", build_laguna},
    {"lfm2", build_lfm2},
    {"lfm2moe", build_lfm2},
    {"llada", build_llada},
    {"llada-moe", build_llada_moe},
    {"llama", build_llama},
    {"llama-embed", build_llama_embed},
    {"llama4", build_llama4},
    {"maincoder", build_maincoder},
    {"maion-coder", build_maion_coder},
    {"mamba", build_mamba},
    {"mamba2", build_mamba2},
    {"maple", build_maple},
    {"mellum", build_mellum},
    {"mimo2", build_mimo2},
    {"minicpm", build_minicpm},
    {"minicpm3", build_minicpm3},
    {"minimax-01", build_minimax_01},
    {"minimax-m2", build_minimax_m2},
    {"minimax-m3", build_minimax_m3},
    {"mistral3", build_mistral3},
    {"mistral4", build_mistral4},
    {"mpt", build_mpt},
    {"muse-glimmer", build_muse_glimmer},
    {"nanbeige", build_nanbeige},
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
    {"plamo2", build_plamo2},
    {"plamo3", build_plamo3},
    {"plm", build_plm},
    {"pockettts", build_pockettts},
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
    {"qwen4exp", build_qwen4exp},
    {"refact", build_refact},
    {"rnd1", build_rnd1},
    {"rwkv6", build_rwkv6},
    {"rwkv6qwen2", build_rwkv6qwen2},
    {"rwkv7", build_rwkv7},
    {"seed_oss", build_seed_oss},
    {"smallthinker", build_smallthinker},
    {"smollm3", build_smollm3},
    {"spark2_5", build_spark2_5},
    {"stablelm", build_stablelm},
    {"starcoder", build_gpt2},
    {"starcoder2", build_starcoder2},
    {"step35", build_step35},
    {"talkie", build_talkie},
    {"xing4_0", build_xing4_0},
    {"xverse", build_internlm2},
});

/// Programs spell some names differently: glm5-next and glm5next, cohere2moe and cohere2_moe.
bool same_name(std::string_view a, std::string_view b) {
    const auto letters = [](std::string_view name) {
        std::string kept(name);
        std::erase_if(kept, [](char c) { return c == '-' || c == '_'; });
        return kept;
    };
    return letters(a) == letters(b);
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
            const std::set<std::string> used = builder.tensors().used();
            const std::int64_t n_layers = builder.hp().n_layers();
            Program program = builder.take();
            refuse_unread(file, builder.hp(), used, n_layers + std::ssize(program.nextn));
            return program;
        }
    throw_error(ErrorKind::Unsupported, file.where(), "architecture {} is not known; known are {}",
                architecture, fmt::join(known_architectures(), ", "));
}

}  // namespace assay::model
