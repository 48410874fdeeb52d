// rwkv6 and rwkv7 (Peng et al. 2024, 2025), and rwkv6qwen2 and arwkv7, which have a transformer's
// feed-forward.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

using TimeMix = std::function<void(Value h, Value x)>;

/// Layer norms, and a channel mix that reads the token before too.
void build_pure(Builder& b, const TimeMix& time_mix) {
    b.use_norms(NormKind::Layer);
    const Value x = b.normalise(b.embed(), b.norm("token_embd_norm"), "x");
    const std::int64_t period = b.hp().integer("rescale_every_n_layers").value_or(0);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        time_mix(b.normalise(x, b.norm("attn_norm"), "h"), x);
        b.next_stage();
        channel_mix(b, b.normalise(x, b.norm("attn_norm_2"), "h"), x);
        if (period > 0 && (i + 1) % period == 0) b.add(x, {}, -0.5f, x);
    }
    b.finish(x);
}

void build_with_ffn(Builder& b, const TimeMix& time_mix) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        time_mix(b.normalise(x, b.norm("attn_norm"), "h"), x);
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {});
    }
    b.finish(x);
}

TimeMix time_mix_6(Builder& b) {
    return [&b](Value h, Value x) { rwkv6_time_mix(b, h, x); };
}

/// Later layers read the values of the first.
TimeMix time_mix_7(Builder& b) {
    return [&b, first = Value{}](Value h, Value x) mutable { rwkv7_time_mix(b, h, x, first); };
}

}  // namespace

void build_rwkv6(Builder& b) { build_pure(b, time_mix_6(b)); }
void build_rwkv7(Builder& b) { build_pure(b, time_mix_7(b)); }
void build_rwkv6qwen2(Builder& b) { build_with_ffn(b, time_mix_6(b)); }
void build_arwkv7(Builder& b) { build_with_ffn(b, time_mix_7(b)); }

}  // namespace assay::model
