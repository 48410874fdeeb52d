#include "model/decoder.h"

#include "core/error.h"

namespace assay::model {

namespace {

void run_ffn(Builder& b, const Decoder& decoder, Value h, Value x) {
    if (decoder.ffn) return decoder.ffn(h, x);
    ffn(b, h, x, {}, {{}, decoder.residual_scale});
}

/// The current layer.
void write_layer(Builder& b, const Decoder& decoder, Value x) {
    const auto normed = [&](const std::string& name) {
        return name.empty() ? x : b.normalise(x, b.norm(name), "h");
    };
    const Value h = normed(decoder.attention_norm);
    AttentionBlock block = decoder.attention();
    block.branch_scale *= decoder.residual_scale;
    if (decoder.parallel) {
        const Value h2 = decoder.ffn_norm.empty() ? h : normed(decoder.ffn_norm);
        attention(b, h, x, block);
        return run_ffn(b, decoder, h2, x);
    }
    attention(b, h, x, block);
    b.next_stage();
    run_ffn(b, decoder, normed(decoder.ffn_norm), x);
}

}  // namespace

void build_decoder(Builder& b, const Decoder& decoder) {
    b.use_norms(decoder.norms, decoder.optional_epsilon);
    const Value x = decoder.start ? decoder.start() : b.embed(decoder.embedding_scale);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        write_layer(b, decoder, x);
    }
    b.finish(x);
    b.scale_logits(decoder.logit_scale, decoder.logit_soft_cap);
    if (decoder.hands_on != Decoder::HandsOn::Nothing)
        nextn_blocks(b, x,
                     {.layer = [&](Value stream) { write_layer(b, decoder, stream); },
                      .hands_residual = decoder.hands_on == Decoder::HandsOn::Residual});
}

Value embed_positions(Builder& b) {
    Value x = b.embed();
    if (b.has("token_embd_norm")) x = b.normalise(x, b.norm("token_embd_norm"), "x");
    if (!b.has("position_embd")) return x;
    const auto n = static_cast<std::int64_t>(b.tensors().file().get("position_embd.weight").ne[1]);
    if (n < b.n_ctx())
        throw_error(ErrorKind::Usage, b.where(), "the model has {} positions, --ctx-size asks for {}", n,
                    b.n_ctx());
    const Lookup lookup{.table = b.linear("position_embd", b.hidden(), n).weight,
                        .row = Lookup::Row::Position};
    b.add(b.emit(lookup, b.hidden(), "positions"), {}, 1, x);
    return x;
}

std::function<void(Value, Value)> plain_ffn(Builder& b, Activation activation) {
    return [&b, activation](Value h, Value x) {
        ffn(b, h, x, {.function = {.activation = activation}, .gated = false});
    };
}

Rope rope_of(const Builder& b, Pairing pairing) {
    return make_rope(b, b.hp().head_dim(std::max<std::int64_t>(0, b.layer())), {.pairing = pairing});
}

Windows::Windows(const Builder& b, const Rules& rules)
    : period_(rules.period), dense_first_(rules.dense_first) {
    const Hyperparameters& hp = b.hp();
    const auto checked = [&](std::string_view name, std::int64_t value) {
        if (value < 0)
            throw_error(ErrorKind::BadFile, b.where(), "{} is {}, expected 0 or more", hp.key(name), value);
        return value;
    };
    window_ =
        checked("attention.sliding_window", hp.integer("attention.sliding_window").value_or(rules.window));
    constexpr std::string_view kPattern = "attention.sliding_window_pattern";
    const gguf::Value* pattern = hp.metadata().find(hp.key(kPattern));
    if (pattern == nullptr) return;
    if (pattern->type == gguf::ValueType::Array) {
        if (!rules.reads_array) return;
        const auto n = static_cast<std::int64_t>(hp.metadata().find_integers(hp.key(kPattern))->size());
        for (std::int64_t i = 0; i < hp.n_blocks() && (i < n || i < hp.n_layers()); ++i)
            array_.push_back(hp.per_layer(kPattern, i, 0) != 0);
    } else if (rules.reads_period) {
        period_ = checked(kPattern, *hp.integer(kPattern));
    }
}

bool Windows::windowed(std::int64_t layer) const {
    if (window_ == 0) return false;
    // Blocks behind the layers may have no entry.
    if (!array_.empty()) return layer < std::ssize(array_) && array_[static_cast<std::size_t>(layer)];
    if (period_ == 0) return true;
    return dense_first_ ? layer % period_ != 0 : layer % period_ < period_ - 1;
}

}  // namespace assay::model
