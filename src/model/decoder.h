// The frame that most decoders share: embeddings, layers of attention and feed-forward around one residual
// stream, a final norm.
#pragma once

#include <functional>
#include <string>

#include "model/blocks.h"

namespace assay::model {

/// What differs between decoders of this frame. Functions are called within the layer that they are for.
struct Decoder {
    NormKind norms = NormKind::Rms;
    bool optional_epsilon = false;  ///< files may lack that of the norms: 0 then
    float embedding_scale = 1;
    /// The stream that enters the first layer; absent: embeddings times embedding_scale.
    std::function<Value()> start{};
    /// Names of the norms before the branches; empty: the branch reads the stream as it is.
    std::string attention_norm = "attn_norm";
    std::string ffn_norm = "ffn_norm";
    /// Both branches read the stream that enters the layer. With an empty ffn_norm they share the attention's
    /// norm.
    bool parallel = false;
    std::function<AttentionBlock()> attention{};
    /// Adds the feed-forward of h to x; absent: a gated one with SiLU, see FfnBlock.
    std::function<void(Value h, Value x)> ffn{};
    float residual_scale = 1;  ///< of both branches, where `ffn` is absent
    float logit_scale = 1;
    float logit_soft_cap = 0;
    /// Blocks that predict ahead: layers as all others, which take what the trunk hands on.
    enum class HandsOn : std::uint8_t { Nothing, Final, Residual };
    HandsOn hands_on = HandsOn::Nothing;  ///< Nothing: they are not known
};

void build_decoder(Builder& b, const Decoder& decoder);

/// Embeddings with what position_embd and token_embd_norm add where the file has them.
Value embed_positions(Builder& b);

/// act(ffn_up), ffn_down, without a gate.
std::function<void(Value, Value)> plain_ffn(Builder& b, Activation activation);

/// Rotary options of most models: base and scaling from metadata, all of head_dim or rope.dimension_count.
Rope rope_of(const Builder& b, Pairing pairing);

/// Which layers see a window only. A pattern in attention.sliding_window_pattern: an array with an entry for
/// each layer, where `reads_array`, else a period whose last layer sees everything (`dense_first`: whose
/// first does).
class Windows {
  public:
    struct Rules {
        std::int64_t window = 0;  ///< where metadata have none; 0: no windows then
        std::int64_t period = 1;  ///< where metadata have none; 0: all layers, 1: none
        bool reads_period = true;
        bool reads_array = false;
        bool dense_first = false;
    };
    Windows(const Builder& b, const Rules& rules);

    bool windowed(std::int64_t layer) const;
    /// 0 for a layer that sees everything.
    std::int64_t of(std::int64_t layer) const { return windowed(layer) ? window_ : 0; }

  private:
    std::int64_t window_ = 0;
    std::int64_t period_ = 1;
    bool dense_first_ = false;
    std::vector<bool> array_;
};

}  // namespace assay::model
