// qwen2, qwen3 and qwen3moe: llama's frame with the other rotary pairing; qwen3 normalises each head.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

AttentionBlock attention_of(const Builder& b, HeadNorms head_norms) {
    return {.rope = rope_of(b, Pairing::Halves), .head_norms = head_norms};
}

}  // namespace

void build_qwen2(Builder& b) {
    build_decoder(b, {.attention = [&] { return attention_of(b, HeadNorms::None); }});
}

void build_qwen3(Builder& b) {
    build_decoder(b, {.attention = [&] { return attention_of(b, HeadNorms::Each); }});
}

void build_qwen3moe(Builder& b) {
    build_decoder(b, {.attention = [&] { return attention_of(b, HeadNorms::Each); },
                      .ffn =
                          [&](Value h, Value x) {
                              const Router router = router_of(b, {.normalise = true, .reads_gating = false});
                              moe(b, h, x, {.router = router, .width = expert_width(b, router)});
                          }});
}

}  // namespace assay::model
