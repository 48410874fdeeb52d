// Kimi delta attention in turn with latent attention: kimi-linear, kimi-k3 and bailingmoe3.
#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

bool is_recurrent(const Builder& b) { return b.hp().per_layer("attention.head_count_kv", b.layer(), 1) == 0; }

/// h's mixer, a stage's end, and the norm of the feed-forward.
Value mix(Builder& b, Value x, const KdaBlock& delta, const MlaBlock& latent) {
    const Value h = b.normalise(x, b.norm("attn_norm"), "h");
    if (is_recurrent(b))
        kda(b, h, x, delta);
    else
        mla(b, h, x, latent);
    b.next_stage();
    return b.normalise(x, b.norm("ffn_norm"), "h");
}

/// Attention over depth (kimi-k3): what a branch reads is a mixture of sums banked every attn_res.block_size
/// layers and of the running sum, which starts anew after each banking. Sums lie side by side, so that a bank
/// is the running sum that no branch adds to any more.
class Depth {
  public:
    explicit Depth(Builder& b) : b_(b), period_(b.hp().required("attn_res.block_size")) {
        const std::int64_t n_sums = 1 + (b.hp().n_layers() + period_ - 1) / period_;
        const Value x = b.embed();
        sums_ = b.declare(n_sums * b.hidden(), "sums");
        b.emit_into(CopyHeads{x, 1, 0, b.hidden()}, sums_.columns(0, b.hidden()));
    }
    bool banks() const { return b_.layer() % period_ == 0; }
    Value sum() const { return sums_.columns((n_ - 1) * b_.hidden(), b_.hidden()); }
    /// The next sum, which is written and not added to at first.
    void bank() { ++n_; }
    Value read(std::string_view score) {
        // The first layer's scores are there and have nothing to choose from.
        const Vector weight = b_.vector(std::string(score) + ".weight", b_.hidden());
        if (n_ == 1) return sum();
        const Value all = sums_.columns(0, n_ * b_.hidden());
        Norm scored = b_.plain_norm(NormKind::Rms);
        scored.weight = weight;
        const Value products = b_.normalise(all, scored, "scored", n_);
        const Value scores = b_.emit(Reduce{Reduction::Sum, products, n_}, n_, "scores");
        const Value shares = b_.emit(Softmax{scores}, n_, "shares");
        return b_.emit(Mix{all, shares, n_, 1}, b_.hidden(), "read");
    }

  private:
    Builder& b_;
    std::int64_t period_ = 1;
    std::int64_t n_ = 1;
    Value sums_{};
};

/// Experts in a latent of expert_latent_length columns where the file has one; shared ones outside it.
void latent_experts(Builder& b, Value h, Value x, const GateFunction& function) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t width = hp.required("expert_feed_forward_length");
    const std::int64_t n_shared = std::max<std::int64_t>(1, hp.integer("expert_shared_count").value_or(1));
    MoeBlock block{.router = router_of(b, {}), .width = width, .function = function};
    block.logits = b.precise_product(h, b.linear("ffn_gate_inp", h.cols, block.router.n_experts), "logits");
    b.mark_ffn_input(h);
    if (b.has("ffn_up_shexp"))
        ffn(b, h, x, {.width = width * n_shared, .function = function, .suffix = "_shexp"});
    if (!b.has("ffn_routed_down")) return moe(b, h, x, block);
    const std::int64_t latent = hp.required("expert_latent_length");
    const Value low = b.product(h, {b.linear("ffn_routed_down", h.cols, latent)}, "latent");
    Value sum = moe_sum(b, low, block);
    b.next_stage();
    if (b.has("ffn_routed_norm")) sum = b.normalise(sum, b.norm("ffn_routed_norm", latent), "latent");
    b.add_product(sum, b.linear("ffn_routed_up", latent, x.cols), x);
}

}  // namespace

void build_kimi_linear(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        dense_lead(b, mix(b, x, {}, {}), x, {.router = {.normalise = true}});
    }
    b.finish(x);
}

void build_bailingmoe3(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    const KdaBlock delta{.lower_bound = b.hp().number("kda.gate_lower_bound", 0), .positive_rates = true};
    const MlaBlock latent{.rope = make_rope(b, b.hp().required("rope.dimension_count"), {}),
                          .gate = Activation::Sigmoid};
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = mix(b, x, delta, latent);
        const GateFunction shared = clamped_function(b, "swiglu_clamp_shexp", GateKind::ClampedAfter);
        dense_lead(b, h, x,
                   {.function = clamped_function(b, "swiglu_clamp_exp", GateKind::ClampedAfter),
                    .shared = shared,
                    .dense = shared,
                    .reads_shared_width = true});
    }
    b.finish(x);
}

void build_kimi_k3(Builder& b) {
    b.use_norms(NormKind::Rms);
    const GateFunction situ{.kind = GateKind::Situ,
                            .limit = b.hp().number("activation.situ_linear_beta", 0),
                            .slope = b.hp().number("activation.situ_beta", 0)};
    if (situ.limit <= 0 || situ.slope <= 0)
        throw_error(ErrorKind::Unsupported, b.where(),
                    "activation.situ_beta is {} and situ_linear_beta {}, "
                    "expected positive numbers",
                    situ.slope, situ.limit);
    const KdaBlock delta{.lower_bound = b.hp().number("kda.gate_lower_bound", 0)};
    Depth depth(b);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(depth.sum());
        const Value h = b.normalise(depth.read("attn_res_score"), b.norm("attn_norm"), "h");
        const bool banks = depth.banks();
        if (banks) depth.bank();
        const Value out =
            is_recurrent(b)
                ? kda_gated(b, h, delta)
                : mla_attended(b, h,
                               {.gate = b.has("attn_gate") ? Activation::Sigmoid : Activation::Identity});
        b.emit_into(
            Product{.x = out, .linears = {b.linear("attn_output", out.cols, b.hidden())}, .adds = !banks},
            depth.sum());
        b.next_stage();
        const Value h2 = b.normalise(depth.read("ffn_res_score"), b.norm("ffn_norm"), "h");
        if (is_dense(b))
            ffn(b, h2, depth.sum(), {.function = situ});
        else
            latent_experts(b, h2, depth.sum(), situ);
    }
    b.begin_head();
    b.finish_normed(b.normalise(depth.read("output_res_score"), b.norm("output_norm"), "final"));
}

}  // namespace assay::model
