#include "model/step_text.h"

#include <fmt/format.h>

#include "model/kind_names.h"

namespace assay::model {

namespace {

struct Words {
    const Names& names;

    /// ", word value" where there is one.
    std::string operand(const char* word, const Value& value) const {
        return value.present() ? fmt::format(", {} {}", word, names.value(value)) : "";
    }
    std::string norm_text(const Norm& norm) const {
        return fmt::format("{} norm, eps {}", name_of(norm.kind), norm.eps);
    }

    static std::string row_text(const Lookup& op) {
        switch (op.row) {
            case Lookup::Row::Token: return "token";
            case Lookup::Row::Position: return "position";
            case Lookup::Row::Ngram:
                return fmt::format("{} tokens: rows [{}..{})", op.ngram.multipliers.size(),
                                   op.ngram.first_row, op.ngram.first_row + op.ngram.n_rows);
        }
        return "?";
    }
    std::string text(const Lookup& op) const {
        return "lookup by " + row_text(op) + when(op.first != 0, fmt::format("columns from {}", op.first)) +
               when(op.scale != 1, fmt::format("times {}", op.scale));
    }
    std::string text(const Normalise& op) const {
        return fmt::format("normalise {}: {}", names.value(op.x), norm_text(op.norm)) +
               when(op.n_slices > 1, fmt::format("each of {} slices", op.n_slices));
    }
    std::string text(const Product& op) const {
        return fmt::format("product of {}", names.value(op.x)) +
               when(op.n_heads > 1, fmt::format("a matrix for each of {} heads", op.n_heads)) +
               when(op.precise, "in f32");
    }
    std::string text(const GatedProduct& op) const {
        return fmt::format("gated product of {}: {}", names.value(op.x), describe(op.function, true));
    }
    std::string text(const TurnHeads& op) const {
        std::string out = fmt::format("turn {} heads", op.n_heads);
        if (op.rope.frequencies.present())
            out += fmt::format(": components [{}..{}), {}", op.first, op.first + op.rope.n_rot(),
                               name_of(op.rope.pairing)) +
                   when(op.backwards, "backwards") +
                   when(op.rope.magnitude != 1, fmt::format("magnitude {}", op.rope.magnitude));
        return out + when(op.norm.present(), norm_text(op.norm) + (op.norm_last ? ", after" : ", before"));
    }
    std::string text(const HandOn& op) const {
        return fmt::format("hand on {}: of the token before", names.value(op.x));
    }
    std::string text(const CopyHeads& op) const {
        return fmt::format("copy {} heads of {}: columns [{}..{})", op.n_heads, names.value(op.x), op.first,
                           op.first + op.count) +
               when(op.out_first != 0, fmt::format("to {}", op.out_first)) +
               when(op.spread, "one head to all");
    }
    std::string text(const Attend& op) const {
        return fmt::format("attend {}, {}, {}: {} heads of {}, {} key heads, values of {}, scale {}",
                           names.value(op.q), names.value(op.k), names.value(op.v), op.n_heads, op.head_dim,
                           op.n_kv_heads, op.value_dim, op.scale) +
               when(op.soft_cap != 0, fmt::format("soft cap {}", op.soft_cap)) +
               when(!op.causal, "not causal") +
               when(op.window != 0, fmt::format("{} window of {}", name_of(op.window_kind), op.window)) +
               when(op.query_scale.present(), "queries scaled by position") +
               when(op.sinks.present(), "sinks") + when(op.slopes.present(), "slopes") +
               operand("block keys", op.block_k) + operand("block values", op.block_v) +
               operand("chosen", op.chosen);
    }
    std::string text(const Pool& op) const {
        return fmt::format("pool {}: blocks of {} tokens", names.value(op.x), op.block_tokens) +
               operand("gate", op.gate) + when(op.overlapping, "overlapping");
    }
    std::string text(const Select& op) const {
        return fmt::format("select by {}, {}: {} heads, the best {} blocks of {} tokens", names.value(op.q),
                           names.value(op.k), op.n_heads, op.n_chosen, op.block_tokens) +
               operand("weights", op.weights) + when(op.tail, "and the tail");
    }
    std::string text(const Convolve& op) const {
        return fmt::format("convolve {}: kernel {}, {}", names.value(op.x), op.kernel,
                           name_of(op.activation)) +
               when(op.dilation != 1, fmt::format("every {} tokens", op.dilation));
    }
    std::string text(const Scan& op) const {
        return fmt::format("scan {}, {}, {}: {}, {} heads, {} key heads{}, keys of {}, values of {}",
                           names.value(op.q), names.value(op.k), names.value(op.v), name_of(op.kind),
                           op.n_heads, op.n_key_heads, op.interleaved ? " interleaved" : "", op.key_dim,
                           op.value_dim) +
               operand("decay", op.decay) + operand("beta", op.beta) + operand("a", op.a) +
               operand("b", op.b) + when(op.scale != 1, fmt::format("times {}", op.scale));
    }
    std::string text(const SelectiveScan& op) const {
        return fmt::format("selective scan {}, dt {}, b {}, c {}", names.value(op.x), names.value(op.dt),
                           names.value(op.b), names.value(op.c));
    }
    std::string text(const Link& link) const {
        const auto other = [&] {
            return (link.value.present() ? names.value(link.value) : names.tensor(link.vector.name)) +
                   (link.tiled ? " (tiled)" : "") + (link.previous ? " (position before)" : "");
        };
        switch (link.kind) {
            case LinkKind::Apply: return name_of(link.activation);
            case LinkKind::Affine: return fmt::format("* {} + {}", link.a, link.b);
            case LinkKind::Clamp: return fmt::format("clamp [{}, {}]", link.a, link.b);
            case LinkKind::Times: return "* " + other();
            case LinkKind::Plus: return "+ " + other();
            case LinkKind::Minus: return "- " + other();
        }
        return "?";
    }
    std::string text(const Chain& op) const {
        std::string out = "chain " + names.value(op.x);
        for (const Link& link : op.links) out += " | " + text(link);
        return out;
    }
    std::string text(const Mix& op) const {
        return fmt::format("mix {} by {}: {} streams to {}", names.value(op.x), names.value(op.coefficients),
                           op.n_in, op.n_out);
    }
    std::string text(const Reduce& op) const {
        return fmt::format("{} of each of {} slices of {}", name_of(op.kind), op.n_slices, names.value(op.x));
    }
    std::string text(const Softmax& op) const {
        return fmt::format("softmax {}", names.value(op.x)) +
               when(op.n_slices > 1, fmt::format("each of {} slices", op.n_slices));
    }
    std::string text(const Sinkhorn& op) const {
        return fmt::format("sinkhorn {}: {} x {}, {} iterations, eps {}", names.value(op.x), op.n, op.n,
                           op.iterations, op.eps);
    }
    std::string text(const Add& op) const {
        return fmt::format("add {}", names.value(op.x)) + when(op.norm.present(), norm_text(op.norm)) +
               when(op.scale != 1, fmt::format("times {}", op.scale));
    }
    std::string text(const Experts& op) const {
        const Router& router = op.router;
        return fmt::format("experts of {} by {}: {} of {}, {}", names.value(op.x), names.value(op.logits),
                           router.n_used, router.n_experts, name_of(router.gating)) +
               when(router.normalise, "normalised") +
               when(router.weight_scale != 1, fmt::format("times {}", router.weight_scale)) +
               when(router.n_groups > 1,
                    fmt::format("{} of {} groups", router.n_groups_used, router.n_groups)) +
               when(router.lookup.present(), "chosen by token") +
               when(router.select_logits, "chosen by logits") +
               when(router.logits_per_expert > 1,
                    fmt::format("{} logits for each", router.logits_per_expert)) +
               ", " + describe(op.function, op.gate.present() || op.fused) +
               when(op.weigh_input, "weights on the input");
    }
};

}  // namespace

std::string when(bool holds, const std::string& text) { return holds ? ", " + text : ""; }

std::string describe(const Operation& operation, const Names& names) {
    return std::visit([words = Words{names}](const auto& op) { return words.text(op); }, operation);
}

}  // namespace assay::model
