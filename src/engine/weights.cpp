#include "engine/weights.h"

#include <cmath>

#include "core/error.h"

namespace assay::engine {

namespace {

backend::NormKind convert(model::NormKind kind) {
    switch (kind) {
        case model::NormKind::None: return backend::NormKind::None;
        case model::NormKind::Rms: return backend::NormKind::Rms;
        case model::NormKind::Layer: return backend::NormKind::Layer;
    }
    return backend::NormKind::None;
}

std::vector<const model::Linear*> dense_inputs(const model::DenseFfn& ffn) { return {&ffn.gate, &ffn.up}; }

/// Every linear layer of a layer but its experts.
std::vector<const model::Linear*> linears_of(const model::Layer& layer) {
    std::vector<const model::Linear*> all;
    const auto& attention = std::get<model::Attention>(layer.mixer);
    for (const model::Linear& linear : attention.qkv) all.push_back(&linear);
    all.push_back(&attention.output);
    if (const auto* dense = std::get_if<model::DenseFfn>(&layer.ffn)) {
        for (const model::Linear* linear : dense_inputs(*dense)) all.push_back(linear);
        all.push_back(&dense->down);
    } else {
        all.push_back(&std::get<model::ExpertFfn>(layer.ffn).router);
    }
    return all;
}

}  // namespace

WeightSources::WeightSources(const gguf::File& file, backend::Backend& backend, std::int64_t chunk_tokens,
                             Replacement* replacement)
    : file_(file), backend_(backend), chunk_tokens_(chunk_tokens), replacement_(replacement) {}

std::vector<float> WeightSources::read_f32(const std::string& name) const {
    const gguf::Tensor& tensor = file_.get(name);
    std::vector<float> values(tensor.elements());
    const std::byte* from = file_.data(tensor).data();
    for (std::uint64_t row = 0; row < tensor.rows(); ++row)
        tensor.type->decode(from + row * tensor.row_bytes(), tensor.ne[0],
                            values.data() + row * tensor.ne[0]);
    return values;
}

backend::WeightSource WeightSources::source(const model::Weight& weight, std::int64_t index,
                                            std::int64_t first_row, std::int64_t n_rows) const {
    const gguf::Tensor& tensor = file_.get(weight.name);
    const std::uint64_t row = tensor.row_bytes();
    const auto begin = static_cast<std::uint64_t>(index * weight.n_out + first_row);
    backend::WeightSource source{
        tensor.type, file_.data(tensor).subspan(begin * row, static_cast<std::uint64_t>(n_rows) * row),
        weight.n_in, n_rows, 1};
    if (!weight.scale.empty()) source.scale = read_f32(weight.scale)[static_cast<std::size_t>(index)];
    if (replacement_ != nullptr && replacement_->replaces(weight.name))
        return replacement_->replace(weight.name, static_cast<std::int64_t>(begin), source);
    return source;
}

backend::WeightSource WeightSources::source(const model::Weight& weight, std::int64_t index) const {
    return source(weight, index, 0, weight.n_out);
}

NormWeights WeightSources::norm(const model::Norm& norm) const {
    NormWeights weights;
    weights.norm.kind = convert(norm.kind);
    weights.norm.eps = norm.eps;
    if (norm.weight.present()) {
        weights.weight = backend_.upload(read_f32(norm.weight.name));
        weights.norm.weight = weights.weight->f32();
    }
    if (norm.bias.present()) {
        weights.bias = backend_.upload(read_f32(norm.bias.name));
        weights.norm.bias = weights.bias->f32();
    }
    return weights;
}

LinearWeights WeightSources::linear(const std::vector<const model::Linear*>& stacked) const {
    return linear(stacked, backend_.operand_dtype());
}

LinearWeights WeightSources::linear(const std::vector<const model::Linear*>& stacked,
                                    backend::DType operand) const {
    std::vector<backend::WeightSource> sources;
    std::vector<float> bias;
    bool has_bias = false;
    for (const model::Linear* part : stacked) {
        sources.push_back(source(part->weight));
        has_bias = has_bias || part->bias.present();
        const std::size_t at = bias.size();
        bias.resize(at + static_cast<std::size_t>(part->weight.n_out));
        if (part->bias.present())
            std::ranges::copy(read_f32(part->bias.name), bias.begin() + static_cast<std::ptrdiff_t>(at));
    }
    LinearWeights weights;
    weights.matrix = backend_.prepare(sources, operand);
    if (has_bias) weights.bias = backend_.upload(bias);
    return weights;
}

AttentionWeights WeightSources::attention(const model::Attention& attention) const {
    AttentionWeights weights;
    std::vector<const model::Linear*> qkv;
    for (const model::Linear& part : attention.qkv) qkv.push_back(&part);
    weights.qkv = linear(qkv);
    weights.q_norm = norm(attention.q_norm);
    weights.k_norm = norm(attention.k_norm);
    weights.rope = {attention.rope.pairing == model::Rope::Pairing::Halves, nullptr, attention.rope.n_rot(),
                    attention.rope.magnitude};
    if (attention.rope.n_rot() > 0) {
        weights.frequencies = backend_.upload(attention.rope.frequencies);
        weights.rope.frequencies = weights.frequencies->f32();
    }
    if (attention.temperature != 0) {
        std::vector<float> factors;
        for (std::int64_t p = 0; p < chunk_tokens_; ++p)
            factors.push_back(1 + attention.temperature *
                                      std::log(static_cast<float>(p / attention.temperature_length) + 1));
        weights.query_scale = backend_.upload(factors);
    }
    weights.output = linear({&attention.output});
    return weights;
}

LayerWeights WeightSources::make_layer(const model::Layer& layer) const {
    LayerWeights weights;
    weights.mixer_norm = norm(layer.mixer_norm);
    weights.attention = attention(std::get<model::Attention>(layer.mixer));
    weights.mixer_post_norm = norm(layer.mixer_post_norm);
    weights.ffn_norm = norm(layer.ffn_norm);
    weights.ffn_post_norm = norm(layer.ffn_post_norm);
    if (const auto* dense = std::get_if<model::DenseFfn>(&layer.ffn))
        weights.dense = {linear(dense_inputs(*dense)), linear({&dense->down})};
    else
        weights.router = linear({&std::get<model::ExpertFfn>(layer.ffn).router}, backend::DType::F32);
    return weights;
}

std::uint64_t prepared_bytes(const backend::Backend& backend, const model::Weight& weight) {
    return static_cast<std::uint64_t>(weight.n_in * weight.n_out * backend::size_of(backend.operand_dtype()));
}

Job WeightSources::layer(const model::Layer& layer) const {
    Job job;
    for (const model::Linear* linear : linears_of(layer)) {
        const gguf::Tensor& tensor = file_.get(linear->weight.name);
        job.tensors.push_back(&tensor);
        job.file_bytes += tensor.size_bytes;
        job.prepared_bytes += prepared_bytes(backend_, linear->weight);
    }
    job.make = [this, &layer]() -> Unit { return make_layer(layer); };
    return job;
}

Job WeightSources::experts(const model::ExpertFfn& ffn, std::int64_t first, std::int64_t count) const {
    Job job;
    for (const model::Linear* linear : {&ffn.gate, &ffn.up, &ffn.down}) {
        const gguf::Tensor& tensor = file_.get(linear->weight.name);
        job.file_bytes += tensor.size_bytes / tensor.ne[2] * static_cast<std::uint64_t>(count);
        job.prepared_bytes += prepared_bytes(backend_, linear->weight) * static_cast<std::uint64_t>(count);
    }
    job.make = [this, &ffn, first, count]() -> Unit {
        ExpertUnit unit{first, {}, {}};
        for (std::int64_t e = first; e < first + count; ++e) {
            const backend::WeightSource gate_up[] = {source(ffn.gate.weight, e), source(ffn.up.weight, e)};
            const backend::WeightSource down[] = {source(ffn.down.weight, e)};
            unit.gate_up.push_back(backend_.prepare(gate_up));
            unit.down.push_back(backend_.prepare(down));
        }
        return unit;
    };
    return job;
}

Job WeightSources::vocabulary(const model::Linear& output, std::int64_t first, std::int64_t count) const {
    Job job;
    const gguf::Tensor& tensor = file_.get(output.weight.name);
    job.file_bytes = tensor.row_bytes() * static_cast<std::uint64_t>(count);
    job.prepared_bytes =
        static_cast<std::uint64_t>(output.weight.n_in * count * backend::size_of(backend_.operand_dtype()));
    job.make = [this, &output, first, count]() -> Unit {
        const backend::WeightSource rows[] = {source(output.weight, 0, first, count)};
        VocabularyUnit unit{first, backend_.prepare(rows), nullptr};
        if (output.bias.present()) {
            const std::vector<float> bias = read_f32(output.bias.name);
            unit.bias = backend_.upload(
                std::span(bias).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
        }
        return unit;
    };
    return job;
}

}  // namespace assay::engine
