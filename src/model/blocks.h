// What architectures are built from: tensors found by name and checked against the shape that metadata asks
// for, and the blocks that many of them share.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "gguf/file.h"
#include "model/hyperparameters.h"
#include "model/spec.h"

namespace assay::model {

/// Finds tensors of one model. Throws Error{BadFile} naming tensor, found and expected shape.
class Tensors {
  public:
    explicit Tensors(const gguf::File& file) : file_(file) {}

    const gguf::File& file() const noexcept { return file_; }
    bool has(std::string_view name) const { return file_.find(name) != nullptr; }

    /// "<prefix>.weight" of [n_in, n_out] or [n_in, n_out, n_matrices], with "<prefix>.scale" and
    /// "<prefix>.bias" where they exist.
    Linear linear(const std::string& prefix, std::int64_t n_in, std::int64_t n_out,
                  std::int64_t n_matrices = 1) const;
    /// "<prefix>.weight" and, where it exists, "<prefix>.bias"; both [size].
    Norm norm(const std::string& prefix, NormKind kind, std::int64_t size, float eps) const;

  private:
    void check(std::string_view name, std::initializer_list<std::int64_t> ne) const;
    Vector optional_vector(const std::string& name, std::int64_t size, std::int64_t n_matrices) const;

    const gguf::File& file_;
};

/// "blk.7.attn_q"
std::string block_name(std::int64_t layer, std::string_view name);

/// Everything outside the layers: embedding, output norm (RMS), output or the embedding again.
ModelSpec make_frame(const Hyperparameters& hp, const Tensors& tensors, float eps);

/// attn_qkv, or attn_q, attn_k, attn_v, and attn_output; heads and sizes from metadata; scale
/// 1/sqrt(head_dim).
Attention make_attention(const Hyperparameters& hp, const Tensors& tensors, std::int64_t layer);

/// attn_q_norm and attn_k_norm per head.
void add_head_norms(Attention& attention, const Tensors& tensors, std::int64_t layer, float eps);

/// ffn_gate, ffn_up, ffn_down.
DenseFfn make_dense_ffn(const Hyperparameters& hp, const Tensors& tensors, std::int64_t layer,
                        Activation activation);

/// ffn_gate_inp, ffn_gate_exps, ffn_up_exps, ffn_down_exps; softmax over all experts, normalised.
ExpertFfn make_expert_ffn(const Hyperparameters& hp, const Tensors& tensors, std::int64_t layer,
                          std::int64_t width);

}  // namespace assay::model
