#include "model/unread.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "gguf/tensor_name.h"

namespace assay::model {

namespace {

/// A key that changes results where an architecture reads it.
struct Key {
    std::string_view name;
    std::string_view readers;       ///< the architectures that read it, " a b c "; "": all
    std::array<double, 2> off{};    ///< values that change nothing, false and true as 0 and 1
    std::string_view same_as = "";  ///< another key: where both are equal, nothing changes either
    std::string_view within = "";   ///< the key has a meaning only where this one was read and is not 0
};

constexpr std::string_view kWindowed =
    " llama4 plamo3 gemma2 gemma3 gemma3n gemma4 gemma-embedding cohere2 cohere2moe olmo2 muse-glimmer "
    "exaone4"
    " exaone-moe granite_swa dots3note afmoe laguna gpt-oss smallthinker mimo2 step35 mellum maple spark2_5"
    " kolibri1 maion-coder ";
constexpr std::string_view kRouted =
    " mistral4 cohere2moe deepseek2 deepseek2-ocr deepseek32 deepseek4 glm4moe glm-dsa exaone-moe bailingmoe2"
    " bailingmoe3 dots1 dots3note afmoe laguna hy_v3 hy_v4 minimax-m3 step35 kimi-k3 k2-horizon glm5-next"
    " xing4_0 ";

/// Which architecture reads which key: llama.cpp's loaders of August and October 2026. In the file of any
/// other architecture a key means nothing. Sizes are not listed, since the shapes of tensors tell. A key may
/// have several rows.
constexpr auto kKeys = std::to_array<Key>({
    {"attention.causal", "", {1, 1}},
    {"attention.sliding_window", kWindowed},
    {"attention.sliding_window", " deepseek4 lfm2 "},
    {"attention.sliding_window_pattern", kWindowed, {-1, -1}, "", "attention.sliding_window"},
    {"attention.key_length_swa", "", {0, 0}, "attention.key_length", "attention.sliding_window"},
    {"attention.value_length_swa", "", {0, 0}, "attention.value_length", "attention.sliding_window"},
    {"rope.dimension_count_swa", "", {0, 0}, "rope.dimension_count", "attention.sliding_window"},
    {"rope.freq_base_swa",
     " llama4 plamo3 gemma2 gemma3 gemma3n gemma4 gemma-embedding cohere2 muse-glimmer dots3note afmoe laguna"
     " gpt-oss smallthinker mimo2 step35 maple spark2_5 ",
     {0, 0},
     "rope.freq_base",
     "attention.sliding_window"},
    {"rope.dimension_sections",
     " qwen2vl qwen3vl qwen3vlmoe qwen35 qwen35moe qwen4exp glm4 glm4moe paddleocr hunyuan-dense"
     " hunyuan_vl "},
    {"rope.scaling.alpha", " hunyuan-dense hunyuan_vl "},
    {"rope.scaling.finetuned", " granite granitehybrid graniteswitch ", {1, 1}},
    {"rope.scaling.yarn_log_multiplier", " mistral3 mistral4 deepseek2 deepseek32 xing4_0 "},
    {"rope.scaling.yarn_beta_fast", " mistral3 grok ", {32, 32}},
    {"rope.scaling.yarn_beta_slow", " mistral3 grok ", {1, 1}},
    {"rope.scaling.yarn_ext_factor", " grok "},
    {"rope.scaling.yarn_attn_factor", " grok ", {1, 1}},
    {"attention.rope_pattern", " granite_swa ", {1, 1}},
    {"attention.scale", " llama granite granitemoe granitehybrid graniteswitch granite_swa qwen4exp "},
    {"attention.output_scale", " grok ", {0, 1}},
    {"attention.value_scale", " mimo2 ", {0, 1}},
    {"attention.clamp_kqv", " mpt dbrx olmo "},
    {"attention.max_alibi_bias", " mpt jais "},
    {"attention.temperature_scale", " mistral3 mistral4 deepseek2 "},
    {"attention.temperature_length", " grok "},
    {"attention.shared_kv_layers", " gemma4 "},
    {"attention.recurrent_layers", " qwen3next qwen35 qwen35moe qwen4exp minimax-01 ", {-1, -1}},
    {"full_attention_interval", " qwen3next qwen35 qwen35moe qwen4exp minimax-01 ", {-1, -1}},
    {"attention.group_norm_groups", " k2-horizon ", {0, 1}},
    {"attention.value_expert_count", " k2-horizon "},
    {"attn_logit_softcapping", " grok gemma2 "},
    {"final_logit_softcapping", " grok gemma2 gemma3 gemma4 muse-glimmer "},
    {"logit_scale",
     " grok minicpm command-r cohere2 cohere2moe muse-glimmer granite granitemoe granitehybrid graniteswitch"
     " granite_swa talkie ",
     {0, 1}},
    {"embedding_scale",
     " grok hrm_text granite granitemoe granitehybrid graniteswitch granite_swa minicpm ",
     {0, 1}},
    {"residual_scale",
     " minimax-01 granite granitemoe granitehybrid graniteswitch granite_swa minicpm ",
     {0, 1}},
    {"expert_group_count", "", {0, 1}, "", "expert_count"},
    {"expert_gating_func", kRouted, {0, 0}, "", "expert_count"},
    {"expert_gating_func",
     " lfm2moe smallthinker minimax-m2 kimi-linear mellum kolibri1 ",
     {0, 0},
     "",
     "expert_count"},
    {"expert_weights_norm", kRouted, {0, 0}, "", "expert_count"},
    {"expert_weights_norm", " nemotron_h nemotron_h_moe bailingmoe kolibri1 ", {0, 0}, "", "expert_count"},
    {"expert_weights_scale", kRouted, {0, 1}, "", "expert_count"},
    {"expert_weights_scale",
     " llama deepseek nemotron_h nemotron_h_moe bailingmoe kimi-linear ",
     {0, 1},
     "",
     "expert_count"},
    {"swiglu_clamp_exp", " deepseek4 bailingmoe3 step35 hy_v4 maple glm5-next "},
    {"swiglu_clamp_shexp", " deepseek4 bailingmoe3 step35 glm5-next "},
    {"ssm.dt_b_c_rms", " mamba "},
    {"swin_norm", " chameleon "},
    {"num_loops", " nanbeige ", {0, 1}},
    {"rescale_every_n_layers", " rwkv6 rwkv6qwen2 "},
});

/// Tensors that the trunk does not compute with, by the beginning and the end of their names.
struct Idle {
    std::string_view begin, end = "";
    std::string_view architectures = "";  ///< " a b c "; "": all
};

constexpr std::string_view kAnyBlock = "blk.*.";

constexpr auto kIdle = std::to_array<Idle>({
    // Rotary factors and caches: make_rope() reads the first two kinds by itself, and some architectures
    // ignore them.
    {"rope_freqs."},
    {"rope_factors_"},
    {"blk.*.rope_freqs."},
    {"blk.*.rope_factors_"},
    {"blk.*.attn_rot_embd."},
    // Heads for classes and for embeddings of sentences, behind the last hidden state.
    {"cls."},
    {"dense_2."},
    {"dense_3."},
    // Images and sound.
    {"v."},
    {"a."},
    {"mm."},
    {"blk.*.vis_"},
    // llama.cpp reads them too, and prefers what stands beside them: keys are normalised only where queries
    // are,
    // attn_qkv and attn_gate hold what older files have in ssm_in, and a layer with a router is not dense.
    {"blk.*.attn_k_norm.", "", " mpt "},
    {"blk.*.ssm_in.", "", " qwen3next "},
    {"blk.*.ffn_gate.", "", " hy_v3 mimo2 step35 "},
    {"blk.*.ffn_up.", "", " hy_v3 mimo2 step35 "},
    {"blk.*.ffn_down.", "", " hy_v3 mimo2 step35 "},
    // Layers that take the keys and values of an earlier one may be stored with their own.
    {"blk.*.attn_k", "", " gemma3n gemma4 "},
    {"blk.*.attn_v", "", " gemma3n gemma4 "},
    // The first layer has nothing to mix its values, or its stream, with.
    {"blk.0.time_mix_v", "", " rwkv7 arwkv7 "},
    {"blk.0.attn_res_score.", "", " kimi-k3 "},
    // The reference selects keys by them with flash attention only.
    {"blk.*.indexer.", "", " minimax-m3 "},
    // Adapters that tokens of their own switch on; calibrate/chunks.cpp refuses texts with such tokens.
    {"blk.*.", ".lora_a", " graniteswitch "},
    {"blk.*.", ".lora_b", " graniteswitch "},
    // For programs that round activations: the scale is that of their rounding.
    {"", ".input_scale"},
});

bool is_one_of(std::string_view name, std::string_view list) {
    return list.empty() || list.find(fmt::format(" {} ", name)) != std::string_view::npos;
}

bool is_idle(std::string_view name, const Hyperparameters& hp) {
    std::string any(name);
    if (gguf::block_of(name))
        any = std::string(kAnyBlock) + any.substr(any.find('.', kAnyBlock.size() - 2) + 1);
    return std::ranges::any_of(kIdle, [&](const Idle& idle) {
        return (any.starts_with(idle.begin) || name.starts_with(idle.begin)) && any.ends_with(idle.end) &&
               is_one_of(hp.architecture(), idle.architectures);
    });
}

void refuse_unread_tensors(const gguf::File& file, const Hyperparameters& hp,
                           const std::set<std::string>& used, std::int64_t n_blocks) {
    const gguf::Tensor* first = nullptr;
    std::size_t n = 0;
    for (const gguf::Tensor& tensor : file.tensors()) {
        const auto block = gguf::block_of(tensor.name);
        if (block && *block >= hp.n_blocks())
            throw_error(ErrorKind::BadFile, file.where(),
                        "tensor {} belongs to block {}, but {} is {}: expected blocks 0 to {} only",
                        tensor.name, *block, hp.key("block_count"), hp.n_blocks(), hp.n_blocks() - 1);
        // Blocks behind the trunk predict several tokens ahead and leave the trunk's results alone.
        if (block && *block >= n_blocks) continue;
        if (used.contains(tensor.name) || is_idle(tensor.name, hp)) continue;
        if (first == nullptr) first = &tensor;
        ++n;
    }
    if (first == nullptr) return;
    const std::string others = n > 1 ? fmt::format(" (nor with {} others)", n - 1) : "";
    throw_error(
        ErrorKind::Unsupported, file.where(),
        "tensor {} {} has no place in architecture {} as this program knows it: nothing would compute "
        "with it{}, and the matrix would be another model's",
        first->name, first->shape_text(), hp.architecture(), others);
}

bool all_numbers(const gguf::Value& value, auto holds) {
    if (const auto* one = std::get_if<std::int64_t>(&value.data)) return holds(static_cast<double>(*one));
    if (const auto* one = std::get_if<double>(&value.data)) return holds(*one);
    if (const auto* all = std::get_if<gguf::Integers>(&value.data))
        return std::ranges::all_of(*all, [&](std::int64_t one) { return holds(static_cast<double>(one)); });
    if (const auto* all = std::get_if<gguf::Reals>(&value.data)) return std::ranges::all_of(*all, holds);
    return false;
}

/// Equal as f32, which files and defaults are in.
bool equal(double a, double b) { return static_cast<float>(a) == static_cast<float>(b); }

bool changes_results(const Key& key, const gguf::Value& value, const Hyperparameters& hp) {
    if (!key.within.empty()) {
        const gguf::Value* within = hp.peek(key.within);
        if (within == nullptr || !hp.was_read(key.within)) return false;
        if (all_numbers(*within, [](double number) { return number == 0; })) return false;
    }
    if (!key.same_as.empty()) {
        const gguf::Value* other = hp.peek(key.same_as);
        return other == nullptr || other->data != value.data;
    }
    return !all_numbers(
        value, [&](double number) { return equal(number, key.off[0]) || equal(number, key.off[1]); });
}

std::string text_of(const gguf::Value& value) {
    if (value.type == gguf::ValueType::Bool)
        return std::get<std::int64_t>(value.data) != 0 ? "true" : "false";
    if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return fmt::format("{}", *integer);
    if (const auto* real = std::get_if<double>(&value.data))
        return fmt::format("{}", static_cast<float>(*real));
    return fmt::format("of type {}", gguf::to_string(value.type));
}

void refuse_unread_keys(const gguf::File& file, const Hyperparameters& hp) {
    for (const Key& key : kKeys) {
        const gguf::Value* value = hp.peek(key.name);
        if (value == nullptr || hp.was_read(key.name) || !is_one_of(hp.architecture(), key.readers)) continue;
        if (changes_results(key, *value, hp))
            throw_error(
                ErrorKind::Unsupported, file.where(),
                "{} is {}, which changes what a model of architecture {} computes; this program does not "
                "follow it, and the matrix would be another model's",
                hp.key(key.name), text_of(*value), hp.architecture());
    }
}

void check_vocabulary(const gguf::File& file) {
    const auto& values = file.metadata().values();
    const auto found = values.find("tokenizer.ggml.tokens");
    const gguf::Tensor* table = file.find("token_embd.weight");
    if (found == values.end() || table == nullptr) return;
    const auto* tokens = std::get_if<gguf::Strings>(&found->second.data);
    if (tokens == nullptr || tokens->size() == table->ne[1]) return;
    throw_error(ErrorKind::BadFile, file.where(),
                "the vocabulary has {} tokens, token_embd.weight {} rows, expected as many", tokens->size(),
                table->ne[1]);
}

}  // namespace

void refuse_unread(const gguf::File& file, const Hyperparameters& hp, const std::set<std::string>& used,
                   std::int64_t n_blocks) {
    check_vocabulary(file);
    refuse_unread_tensors(file, hp, used, n_blocks);
    refuse_unread_keys(file, hp);
}

}  // namespace assay::model
