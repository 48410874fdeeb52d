// Decoders with experts of which some layers see a window and turn their heads otherwise: step35, laguna,
// mimo2, cohere2moe, llama4, smallthinker; minimax-m3.
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

constexpr double kLocalBase = 10000;

/// Of a layer that sees a window: the common base unless metadata have one for these layers.
double window_base(const Builder& b, double otherwise) {
    return b.hp().real("rope.freq_base_swa").value_or(otherwise);
}

}  // namespace

void build_step35(Builder& b) {
    const Hyperparameters& hp = b.hp();
    const Windows windows(b, {.reads_period = false, .reads_array = true});
    const auto attention = [&] {
        const bool windowed = windows.windowed(b.layer());
        const std::int64_t dim = hp.head_dim(b.layer());
        const std::int64_t n_rot = hp.integer("rope.dimension_count").value_or(dim);
        const RopeOptions options{
            .pairing = Pairing::Halves,
            .base = windowed ? window_base(b, kLocalBase) : 0,
            .scaled = !windowed,
            .n_rot = windowed ? hp.integer("rope.dimension_count_swa").value_or(n_rot) : n_rot / 2,
            .factors = !windowed};
        return AttentionBlock{.rope = make_rope(b, dim, options),
                              .head_norms = b.has("attn_q_norm") ? HeadNorms::Each : HeadNorms::None,
                              .window = windows.of(b.layer()),
                              .gate = b.has("attn_gate") ? Activation::Sigmoid : Activation::Identity};
    };
    const auto feed_forward = [&](Value h, Value x) {
        const GateFunction dense = clamped_function(b, "swiglu_clamp_shexp", GateKind::ClampedAfter);
        if (!b.has("ffn_gate_inp")) return ffn(b, h, x, {.function = dense});
        moe(b, h, x,
            {.router = router_of(b, {.gating = Gating::Sigmoid}),
             .width = hp.required("expert_feed_forward_length"),
             .function = clamped_function(b, "swiglu_clamp_exp", GateKind::ClampedAfter),
             .shared = b.has("ffn_up_shexp") ? SharedExpert::Plain : SharedExpert::None,
             .shared_ffn = {.width = hp.integer("expert_shared_feed_forward_length").value_or(0),
                            .function = dense}});
    };
    build_decoder(b, {.attention = attention, .ffn = feed_forward, .hands_on = Decoder::HandsOn::Residual});
}

void build_laguna(Builder& b) {
    const Hyperparameters& hp = b.hp();
    const Windows windows(b, {.period = 4, .dense_first = true});
    const auto attention = [&] {
        const bool windowed = windows.windowed(b.layer());
        const std::int64_t dim = hp.head_dim(b.layer());
        const RopeOptions options{.pairing = Pairing::Halves,
                                  .base = windowed ? window_base(b, 0) : 0,
                                  .scaled = !windowed,
                                  .unmagnified = windowed,
                                  .n_rot = windowed ? hp.integer("rope.dimension_count_swa").value_or(0) : 0,
                                  .factors = false};
        return AttentionBlock{.rope = make_rope(b, dim, options),
                              .head_norms = HeadNorms::Each,
                              .window = windows.of(b.layer()),
                              .gate = Activation::Softplus};
    };
    const auto feed_forward = [&](Value h, Value x) {
        dense_lead(b, h, x, {.router = {.gating = Gating::Sigmoid}, .reads_shared_width = true});
    };
    build_decoder(b, {.attention = attention, .ffn = feed_forward});
}

void build_mimo2(Builder& b) {
    const Windows windows(b, {.reads_period = false, .reads_array = true});
    const float value_scale = b.hp().number("attention.value_scale", 0);
    const auto attention = [&] {
        const bool windowed = windows.windowed(b.layer());
        const RopeOptions options{.pairing = Pairing::Halves,
                                  .base = windowed ? window_base(b, kLocalBase) : 0,
                                  .scaled = !windowed,
                                  .factors = false};
        return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()), options),
                              .window = windows.of(b.layer()),
                              .input_biases = false,
                              .branch_scale = value_scale != 0 ? value_scale : 1};
    };
    const auto feed_forward = [&](Value h, Value x) {
        if (!b.has("ffn_gate_inp")) return ffn(b, h, x, {});
        moe(b, h, x,
            {.router = router_of(b, {.gating = Gating::Sigmoid, .normalise = true, .reads_gating = false}),
             .width = b.hp().required("expert_feed_forward_length")});
    };
    build_decoder(b, {.attention = attention, .ffn = feed_forward, .hands_on = Decoder::HandsOn::Residual});
}

void build_cohere2moe(Builder& b) {
    const Hyperparameters& hp = b.hp();
    const Windows windows(b, {.period = 4, .reads_array = true, .dense_first = true});
    const auto attention = [&] {
        // Blocks behind the layers turn their heads and see everything.
        const bool is_layer = b.layer() < hp.n_layers(), windowed = is_layer && windows.windowed(b.layer());
        const bool turns = windowed || is_dense(b) || !is_layer;
        return AttentionBlock{.rope = turns ? rope_of(b, Pairing::Adjacent) : Rope{},
                              .window = windowed ? windows.of(b.layer()) : 0};
    };
    const auto feed_forward = [&](Value h, Value x) {
        if (!b.has("ffn_gate_inp")) return ffn(b, h, x, {});
        const MoeBlock block =
            led_experts(b, {.router = {.gating = Gating::Sigmoid}, .reads_shared_width = true});
        moe(b, h, x, block, block.shared == SharedExpert::Plain ? 0.5f : 1.0f);
    };
    const bool rms = hp.number("attention.layer_norm_rms_epsilon", 0) != 0;
    const float logit_scale = hp.number("logit_scale", 1);
    build_decoder(b, {.norms = rms ? NormKind::Rms : NormKind::Layer,
                      .ffn_norm = "",
                      .parallel = true,
                      .attention = attention,
                      .ffn = feed_forward,
                      .logit_scale = logit_scale != 0 ? logit_scale : 1,
                      .hands_on = Decoder::HandsOn::Final});
}

void build_llama4(Builder& b) {
    constexpr std::int64_t kStep = 4;       // every fourth layer does not turn its heads
    constexpr std::int64_t kWindow = 8192;  // whatever metadata say, and the length of a temperature step
    constexpr std::int64_t kUnnormed = 128;
    const Hyperparameters& hp = b.hp();
    const bool chunked = hp.integer("attention.sliding_window").value_or(kWindow) != 0;
    const Windows windows(b, {.window = chunked ? kWindow : 0, .period = kStep});
    const bool norms = hp.integer("expert_count").value_or(0) != kUnnormed;
    const auto attention = [&] {
        const bool windowed = windows.windowed(b.layer());
        const bool turns = (b.layer() + 1) % (chunked ? kStep : hp.n_layers()) != 0;
        AttentionBlock block;
        if (turns)
            block.rope = make_rope(b, hp.head_dim(b.layer()), {.base = windowed ? window_base(b, 0) : 0});
        else if (chunked)
            block.query_scale = query_temperature(b, 0.1f, kWindow, 1);
        block.plain_head_norms = turns && norms;
        block.norm_last = true;
        block.window = windowed ? kWindow : 0;
        block.window_kind = WindowKind::Chunked;
        return block;
    };
    const auto feed_forward = [&](Value h, Value x) {
        const std::int64_t step = hp.integer("interleave_moe_layer_step").value_or(0);
        if (step <= 0 || (b.layer() + 1) % step != 0) return ffn(b, h, x, {});
        Router router = router_of(b, {.gating = Gating::Sigmoid, .normalise = false, .reads_gating = false});
        router.select_logits = true;
        const std::int64_t width = hp.required("expert_feed_forward_length");
        moe(b, h, x,
            {.router = router,
             .width = width,
             .weigh_input = true,
             .shared = SharedExpert::Plain,
             .shared_ffn = {.width = width}});
    };
    build_decoder(b, {.attention = attention, .ffn = feed_forward});
}

void build_smallthinker(Builder& b) {
    constexpr std::int64_t kStep = 4;       // every fourth layer does not turn its heads
    constexpr std::int64_t kWindow = 4096;  // whatever metadata say
    const Hyperparameters& hp = b.hp();
    const bool windowed = hp.integer("attention.sliding_window").value_or(0) > 0;
    const Windows windows(b, {.period = kStep, .dense_first = true});
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        b.begin_layer(x);
        Router router = router_of(b, {.normalise = true});
        const Value logits =
            b.precise_product(x, b.linear("ffn_gate_inp", x.cols, router.n_experts), "logits");
        AttentionBlock block;
        if (!windowed || i % kStep != 0)
            block.rope = make_rope(b, hp.head_dim(i),
                                   {.pairing = Pairing::Halves,
                                    .base = windows.windowed(i) ? window_base(b, 0) : 0,
                                    .factors = false});
        block.window = windows.windowed(i) ? kWindow : 0;
        attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x, block);
        b.next_stage();
        moe(b, b.normalise(x, b.norm("ffn_norm"), "h"), x,
            {.router = router,
             .width = expert_width(b, router),
             .function = {.activation = Activation::Relu},
             .logits = logits});
    }
    b.finish(x);
}

/// The reference selects blocks of keys by an indexer only with flash attention; without, as here, attention
/// is dense and the indexer's tensors are not used.
void build_minimax_m3(Builder& b) {
    constexpr GateFunction kClamped{.kind = GateKind::SwigluOai, .limit = 7, .slope = 1.702f};
    const auto attention = [&] {
        return AttentionBlock{.rope = rope_of(b, Pairing::Halves), .head_norms = HeadNorms::Each};
    };
    const auto feed_forward = [&](Value h, Value x) {
        dense_lead(b, h, x, {.function = kClamped, .shared = kClamped, .dense = kClamped});
    };
    build_decoder(b, {.attention = attention, .ffn = feed_forward});
}

}  // namespace assay::model
