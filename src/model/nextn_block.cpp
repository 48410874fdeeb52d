#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

/// nextn.eh_proj [norm of the token's embedding | norm of what was handed on], for each stream of that.
Value joined(Builder& b, Value handed) {
    const std::int64_t width = b.hidden(), n = handed.cols / width;
    const char* own_table = "nextn.embed_tokens";
    const Value token = b.lookup(b.has(own_table) ? b.name_of(own_table) : "token_embd", 1, "token");
    const Value e = b.normalise(token, b.norm("nextn.enorm"), "e");
    // One weight for all streams, or one for each.
    const auto size =
        static_cast<std::int64_t>(b.tensors().file().get(b.name_of("nextn.hnorm.weight")).elements());
    const Value h = b.normalise(b.emit(HandOn{handed}, handed.cols, "handed"),
                                b.norm("nextn.hnorm", size == width ? width : handed.cols), "h", n);
    const Value both = b.declare(2 * handed.cols, "e h");
    b.emit_into(CopyHeads{e, n, 0, width, 0, true}, both);
    b.emit_into(CopyHeads{h, n, 0, width, width}, both);
    const Value x = b.declare(handed.cols, "x");
    for (std::int64_t stream = 0; stream < n; ++stream)
        b.emit_into(Product{both.columns(stream * 2 * width, 2 * width),
                            {b.linear("nextn.eh_proj", 2 * width, width)}},
                    x.columns(stream * width, width));
    return x;
}

/// The norm before the output projection: the block's own, which some files call as if it were the layer's,
/// or the trunk's.
std::optional<Norm> own_norm(Builder& b) {
    for (const char* name : {"nextn.shared_head_norm", "layer_output_norm"})
        if (b.has(name)) return b.norm(name);
    return std::nullopt;
}

}  // namespace

void nextn_blocks(Builder& b, Value residual, const NextNBlock& block) {
    const std::int64_t n = b.n_nextn();
    // The first scored token is the middle one's successor, and a row as much before it as a block is ahead
    // predicts it.
    if (n > 0 && b.n_ctx() / 2 < n)
        throw_error(ErrorKind::Usage, "--ctx-size", "{} tokens are too few for {} blocks that predict ahead",
                    b.n_ctx(), n);
    Value handed = block.hands_residual ? residual : b.final();
    for (std::int64_t i = 0; i < n; ++i) {
        b.begin_nextn();
        const Value x = joined(b, handed);
        block.layer(x);
        const std::optional<Norm> norm = own_norm(b);
        Linear head;
        if (b.has("nextn.shared_head_head")) {
            const auto rows = static_cast<std::int64_t>(
                b.tensors().file().get(b.name_of("nextn.shared_head_head.weight")).ne[1]);
            head = b.linear("nextn.shared_head_head", b.hidden(), rows);
        }
        if (!block.leaves_by_own) b.begin_head();
        Value final = block.leave ? block.leave(x) : x;
        b.begin_head();
        if (!block.leaves_by_own) final = b.normalise(final, norm ? *norm : b.norm("output_norm"), "final");
        b.finish_nextn(final, std::move(head));
        handed = block.hands_residual ? x : final;
    }
}

}  // namespace assay::model
