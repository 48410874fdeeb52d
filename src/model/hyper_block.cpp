#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

std::int64_t n_streams(const Builder& b) { return b.hp().required("hyper_connection.count"); }
float epsilon(const Builder& b) { return b.hp().epsilon("hyper_connection.epsilon"); }

/// fn of all streams normalised together, times a factor for each run of columns, plus the base.
Value coefficients(Builder& b, Value streams, const std::string& name,
                   const std::vector<std::int64_t>& runs) {
    std::int64_t cols = 0;
    for (const std::int64_t run : runs) cols += run;
    const std::string scale = b.name_of(name + "_scale") + ".weight";
    const std::vector<float> factors = b.tensors().numbers(scale, static_cast<std::int64_t>(runs.size()));
    std::vector<float> spread;
    for (std::size_t i = 0; i < runs.size(); ++i)
        spread.insert(spread.end(), static_cast<std::size_t>(runs[i]), factors[i]);
    const Value flat = b.normalise(streams, b.plain_norm(NormKind::Rms), "flat");
    const Value raw = b.precise_product(flat, b.linear(name + "_fn", streams.cols, cols), "mixes");
    return b.chain(raw,
                   {times(Builder::constant(scale + ".spread", std::move(spread))),
                    plus(b.vector(name + "_base.weight", cols))},
                   "mixes");
}

Value mixed(Builder& b, Value streams, Value shares) {
    return b.emit(Mix{streams, shares, shares.cols, 1}, b.hidden(), "input");
}

/// The n x n numbers of each row with rows and columns exchanged.
Value turned(Builder& b, Value square, std::int64_t n) {
    const Value out = b.declare(n * n, "comb");
    for (std::int64_t i = 0; i < n; ++i) b.emit_into(CopyHeads{square, n, i, 1}, out.columns(i * n, n));
    return out;
}

/// The mean over normed streams, gated by sigmoid(up silu(down normed / streams)).
Value low_rank_mixed(Builder& b, Value normed, const std::string& name) {
    const float share = 1.0f / static_cast<float>(n_streams(b));
    const std::int64_t rank = b.hp().required("hyper_connection.low_rank");
    const Value down = b.product(normed, {b.linear(name + "_down", normed.cols, rank)}, "low");
    const Value low = b.chain(down, {affine(share), apply(Activation::Silu)}, "low");
    const Value up = b.product(low, {b.linear(name + "_up", rank, normed.cols)}, "shares");
    return hyper_mean(b, b.chain(up, {apply(Activation::Sigmoid), times(normed)}, "shares"));
}

Value normed_streams(Builder& b, Value streams, const std::string& name) {
    return b.normalise(streams, b.norm(name + "_norm", streams.cols), "normed", n_streams(b));
}

}  // namespace

Value hyper_embed(Builder& b) {
    const std::int64_t n = n_streams(b);
    const Value x = b.embed();
    const Value streams = b.declare(n * b.hidden(), "streams");
    b.emit_into(CopyHeads{x, n, 0, b.hidden(), 0, true}, streams);
    return streams;
}

HyperStep open_mhc(Builder& b, Value streams, const std::string& name, const MhcForm& form) {
    const std::int64_t n = n_streams(b);
    const Value all = coefficients(b, streams, name, {n, n, n * n});
    std::vector<Link> input{apply(Activation::Sigmoid)};
    if (form.epsilon_on_input) input.push_back(affine(1, epsilon(b)));
    const Value pre = b.chain(all.columns(0, n), std::move(input), "pre");
    const Value post = b.chain(all.columns(n, n), {apply(Activation::Sigmoid), affine(2)}, "post");
    Value start = all.columns(2 * n, n * n);
    if (form.clamp > 0) start = b.chain(start, {clamp(-form.clamp, form.clamp)}, "start");
    const Value comb =
        b.emit(Sinkhorn{start, n, b.hp().required("hyper_connection.sinkhorn_iterations"), epsilon(b)}, n * n,
               "comb");
    return {mixed(b, streams, pre), post, form.by_destination ? turned(b, comb, n) : comb};
}

HyperStep open_ihc(Builder& b, Value streams, const std::string& name) {
    const std::int64_t n = n_streams(b);
    const Value all = coefficients(b, streams, name, {n, n});
    const float eps = epsilon(b), magnitude = b.hp().number("hyper_connection.magnitude", 1);
    const Value pre = b.chain(all.columns(0, n), {apply(Activation::Sigmoid), affine(1, eps)}, "pre");
    const Value post =
        b.chain(all.columns(n, n), {apply(Activation::Sigmoid), affine(magnitude, eps)}, "post");
    return {mixed(b, streams, pre), post, {}};
}

HyperStep open_low_rank(Builder& b, Value streams, const std::string& name) {
    const std::int64_t n = n_streams(b);
    const Value normed = normed_streams(b, streams, name);
    const Value inject = b.product(normed, {b.linear(name + "_inject", streams.cols, n)}, "post");
    const Value post = b.chain(
        inject, {affine(1.0f / static_cast<float>(n)), apply(Activation::Sigmoid), affine(2)}, "post");
    return {low_rank_mixed(b, normed, name), post, {}};
}

Value low_rank_head(Builder& b, Value streams, const std::string& name) {
    return low_rank_mixed(b, normed_streams(b, streams, name), name);
}

void close_hyper(Builder& b, Value streams, const HyperStep& step, Value branch, Value out) {
    const std::int64_t n = step.post.cols;
    if (step.comb.present()) b.emit_into(Mix{streams, step.comb, n, n}, out);
    b.emit_into(Mix{branch, step.post, 1, n, true}, out);
}

Value hyper_head(Builder& b, Value streams) {
    const std::int64_t n = n_streams(b);
    const Value all = coefficients(b, streams, "output_hc", {n});
    return mixed(b, streams, b.chain(all, {apply(Activation::Sigmoid), affine(1, epsilon(b))}, "pre"));
}

Value hyper_mean(Builder& b, Value streams) {
    const std::int64_t width = b.hidden(), n = streams.cols / width;
    std::vector<Link> links;
    for (std::int64_t i = 1; i < n; ++i) links.push_back(plus(streams.columns(i * width, width)));
    links.push_back(affine(1 / static_cast<float>(n)));
    return b.chain(streams.columns(0, width), std::move(links), "mean");
}

}  // namespace assay::model
