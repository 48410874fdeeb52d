#include <cmath>

#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

const gguf::Integers& numbers(const Builder& b, std::string_view name, std::int64_t count) {
    const std::string key = b.hp().key(name);
    const gguf::Integers* found = b.hp().metadata().find_integers(key);
    if (found == nullptr || static_cast<std::int64_t>(found->size()) != count)
        throw_error(ErrorKind::BadFile, b.where(), "{} has {} entries, expected {}", key,
                    found == nullptr ? 0 : found->size(), count);
    return *found;
}

/// For each n-gram of 2, 3, ... tokens the rows of its heads, side by side.
Value ngram_rows(Builder& b) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t longest = hp.required("ple.ngram_size"), heads = hp.required("ple.heads_per_ngram"),
                       width = hp.required("embedding_length_per_layer_input"), n = (longest - 1) * heads;
    const gguf::Integers& multipliers = numbers(b, "ple.layer_multipliers", longest);
    const gguf::Integers& sizes = numbers(b, "ple.head_vocab_sizes", n);
    const gguf::Integers& offsets = numbers(b, "ple.head_offsets", n);
    const auto n_rows =
        static_cast<std::int64_t>(b.tensors().file().get("per_layer_token_embd.weight").ne[1]);
    Lookup op{.table = b.tensors().weight("per_layer_token_embd", width, n_rows), .row = Lookup::Row::Ngram};
    op.ngram.end = static_cast<std::int32_t>(hp.metadata().get_integer(hp.key("ple.eos_token_id")));
    const Value all = b.declare(n * width, "n-grams");
    for (std::int64_t head = 0; head < n; ++head) {
        const auto at = static_cast<std::size_t>(head);
        if (sizes[at] <= 0 || offsets[at] < 0 || offsets[at] > n_rows - sizes[at])
            throw_error(ErrorKind::BadFile, b.where(),
                        "head {} of the n-grams has {} rows from {} on, per_layer_token_embd.weight has {}",
                        head, sizes[at], offsets[at], n_rows);
        op.ngram.multipliers.assign(multipliers.begin(), multipliers.begin() + 2 + head / heads);
        op.ngram.first_row = offsets[at];
        op.ngram.n_rows = sizes[at];
        b.emit_into(op, all.columns(head * width, width));
    }
    return all;
}

}  // namespace

bool has_ngrams(const Builder& b) {
    const std::string key = b.hp().key("ple.layers");
    const gguf::Integers* layers = b.hp().metadata().find_integers(key);
    if (layers == nullptr) return false;
    if (layers->size() != 1)
        throw_error(ErrorKind::Unsupported, b.where(), "{} names {} layers, expected one", key,
                    layers->size());
    return layers->front() == b.layer();
}

void add_ngrams(Builder& b, Value streams) {
    const std::int64_t width = b.hidden(), n = streams.cols / width;
    const Value rows = ngram_rows(b);
    const Value raw_key = b.product(rows, {b.linear("ple_key", rows.cols, streams.cols)}, "key");
    const Value value = b.product(rows, {b.linear("ple_value", rows.cols, width)}, "value");
    const Value key = b.normalise(raw_key, b.norm("ple_norm_key", streams.cols), "key", n);
    const Value query = b.normalise(streams, b.norm("ple_norm_query", streams.cols), "query", n);
    const Value fit = b.emit(Reduce{Reduction::Sum, b.chain(key, {times(query)}, "fit"), n}, n, "fit");
    const Value gate = b.chain(fit,
                               {affine(1.0f / std::sqrt(static_cast<float>(width))),
                                apply(Activation::SignedRoot), apply(Activation::Sigmoid)},
                               "gate");
    const Value gated = b.emit(Mix{value, gate, 1, n}, streams.cols, "gated");
    const Value normed = b.normalise(gated, b.norm("ple_norm_conv", streams.cols), "normed", n);
    const std::int64_t kernel = b.hp().required("ple.conv_kernel");
    Convolve convolve{normed, b.vector("ple_conv1d.weight", streams.cols * kernel), {}, kernel};
    convolve.activation = Activation::Silu;
    convolve.dilation = b.hp().required("ple.ngram_size");
    b.add(gated, {}, 1, streams);
    b.add(b.emit(convolve, streams.cols, "mixed"), {}, 1, streams);
    b.defer_input();
}

}  // namespace assay::model
