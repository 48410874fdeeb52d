#include <cmath>

#include "model/blocks.h"

namespace assay::model {

Value layer_embeddings(Builder& b, Value x, std::int64_t width) {
    const std::int64_t n_layers = b.hp().n_layers(), cols = n_layers * width;
    const float half = std::sqrt(0.5f);
    const Value token = b.emit(Lookup{.table = b.linear("per_layer_token_embd", cols, b.n_vocab()).weight,
                                      .scale = std::sqrt(static_cast<float>(width))},
                               cols, "token's own");
    const Value made = b.product(x, {b.linear("per_layer_model_proj", x.cols, cols)}, "own");
    const Value scaled = b.chain(made, {affine(1.0f / std::sqrt(static_cast<float>(x.cols)))}, "own");
    const Value normed = b.normalise(scaled, b.norm("per_layer_proj_norm", width), "own", n_layers);
    return b.chain(normed, {plus(token), affine(half)}, "own");
}

Value layer_embedding(Builder& b, Value x, Value own) {
    const Value gate = b.product(x, {b.linear("inp_gate", x.cols, own.cols)}, "gate");
    const Value gated = b.chain(gate, {apply(Activation::Gelu), times(own)}, "gated");
    return b.product(gated, {b.linear("proj", own.cols, b.hidden())}, "own branch");
}

}  // namespace assay::model
