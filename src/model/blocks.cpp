#include "model/blocks.h"

#include <cmath>

#include "core/error.h"

namespace assay::model {

namespace {
constexpr std::int64_t kMaxExperts = 1024;
}

std::string block_name(std::int64_t layer, std::string_view name) {
    return fmt::format("blk.{}.{}", layer, name);
}

void Tensors::check(std::string_view name, std::initializer_list<std::int64_t> ne) const {
    const gguf::Tensor& tensor = file_.get(name);
    std::array<std::uint64_t, 4> expected{1, 1, 1, 1};
    std::size_t i = 0;
    for (const std::int64_t n : ne) expected[i++] = static_cast<std::uint64_t>(n);
    if (tensor.ne == expected) return;
    std::string text;
    for (const std::int64_t n : ne)
        if (n != 1 || text.empty()) text += (text.empty() ? "" : ", ") + std::to_string(n);
    throw_error(ErrorKind::BadFile, file_.where(), "tensor {} has shape {}, the metadata asks for [{}]", name,
                tensor.shape_text(), text);
}

Vector Tensors::optional_vector(const std::string& name, std::int64_t size, std::int64_t n_matrices) const {
    if (!has(name)) return {};
    if (n_matrices == 1)
        check(name, {size});
    else
        check(name, {size, n_matrices});
    return {name, size};
}

Linear Tensors::linear(const std::string& prefix, std::int64_t n_in, std::int64_t n_out,
                       std::int64_t n_matrices) const {
    Linear linear;
    linear.weight = {prefix + ".weight", n_in, n_out, n_matrices, {}};
    check(linear.weight.name, {n_in, n_out, n_matrices});
    if (has(prefix + ".scale")) {
        linear.weight.scale = prefix + ".scale";
        check(linear.weight.scale, {n_matrices});
    }
    linear.bias = optional_vector(prefix + ".bias", n_out, n_matrices);
    return linear;
}

Norm Tensors::norm(const std::string& prefix, NormKind kind, std::int64_t size, float eps) const {
    const std::string name = prefix + ".weight";
    check(name, {size});
    return {kind, {name, size}, optional_vector(prefix + ".bias", size, 1), eps};
}

ModelSpec make_frame(const Hyperparameters& hp, const Tensors& tensors, float eps) {
    ModelSpec spec;
    spec.architecture = hp.architecture();
    spec.name = std::string(hp.metadata().find_string("general.name").value_or(""));
    spec.hidden = hp.hidden();
    spec.context_length = hp.context_length();
    spec.n_vocab = static_cast<std::int64_t>(tensors.file().get("token_embd.weight").ne[1]);
    spec.embedding = tensors.linear("token_embd", spec.hidden, spec.n_vocab).weight;
    spec.output_norm = tensors.norm("output_norm", NormKind::Rms, spec.hidden, eps);
    spec.output_tied = !tensors.has("output.weight");
    if (spec.output_tied)
        spec.output.weight = spec.embedding;
    else
        spec.output = tensors.linear("output", spec.hidden, spec.n_vocab);
    return spec;
}

Attention make_attention(const Hyperparameters& hp, const Tensors& tensors, std::int64_t layer) {
    Attention attention;
    attention.n_heads = hp.n_heads(layer);
    attention.n_kv_heads = hp.n_kv_heads(layer);
    attention.head_dim = hp.head_dim(layer);
    attention.value_dim = hp.value_dim(layer);
    attention.scale = 1.0f / std::sqrt(static_cast<float>(attention.head_dim));
    const std::int64_t q = attention.n_heads * attention.head_dim;
    const std::int64_t k = attention.n_kv_heads * attention.head_dim;
    const std::int64_t v = attention.n_kv_heads * attention.value_dim;
    if (const std::string fused = block_name(layer, "attn_qkv"); tensors.has(fused + ".weight"))
        attention.qkv = {tensors.linear(fused, hp.hidden(), q + k + v)};
    else
        attention.qkv = {tensors.linear(block_name(layer, "attn_q"), hp.hidden(), q),
                         tensors.linear(block_name(layer, "attn_k"), hp.hidden(), k),
                         tensors.linear(block_name(layer, "attn_v"), hp.hidden(), v)};
    attention.output = tensors.linear(block_name(layer, "attn_output"),
                                      attention.n_heads * attention.value_dim, hp.hidden());
    return attention;
}

void add_head_norms(Attention& attention, const Tensors& tensors, std::int64_t layer, float eps) {
    attention.q_norm = tensors.norm(block_name(layer, "attn_q_norm"), NormKind::Rms, attention.head_dim, eps);
    attention.k_norm = tensors.norm(block_name(layer, "attn_k_norm"), NormKind::Rms, attention.head_dim, eps);
}

DenseFfn make_dense_ffn(const Hyperparameters& hp, const Tensors& tensors, std::int64_t layer,
                        Activation activation) {
    const std::int64_t ffn = hp.ffn(layer);
    return {tensors.linear(block_name(layer, "ffn_gate"), hp.hidden(), ffn),
            tensors.linear(block_name(layer, "ffn_up"), hp.hidden(), ffn),
            tensors.linear(block_name(layer, "ffn_down"), ffn, hp.hidden()), activation};
}

ExpertFfn make_expert_ffn(const Hyperparameters& hp, const Tensors& tensors, std::int64_t layer,
                          std::int64_t width) {
    ExpertFfn ffn;
    ffn.n_experts = hp.integer("expert_count").value_or(0);
    ffn.n_used = hp.integer("expert_used_count").value_or(0);
    if (ffn.n_experts < 1 || ffn.n_experts > kMaxExperts || ffn.n_used < 1 || ffn.n_used > ffn.n_experts)
        throw_error(ErrorKind::BadFile, tensors.file().where(),
                    "{} of {} experts used, expected 1 to {} of at most {}", ffn.n_used, ffn.n_experts,
                    ffn.n_experts, kMaxExperts);
    ffn.normalise = true;
    if (const float scale = hp.number("expert_weights_scale", 0); scale != 0) ffn.weight_scale = scale;
    ffn.router = tensors.linear(block_name(layer, "ffn_gate_inp"), hp.hidden(), ffn.n_experts);
    ffn.gate = tensors.linear(block_name(layer, "ffn_gate_exps"), hp.hidden(), width, ffn.n_experts);
    ffn.up = tensors.linear(block_name(layer, "ffn_up_exps"), hp.hidden(), width, ffn.n_experts);
    ffn.down = tensors.linear(block_name(layer, "ffn_down_exps"), width, hp.hidden(), ffn.n_experts);
    if (ffn.gate.bias.present() || ffn.up.bias.present() || ffn.down.bias.present())
        throw_error(ErrorKind::Unsupported, tensors.file().where(), "experts of layer {} have biases", layer);
    return ffn;
}

}  // namespace assay::model
