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

std::vector<const model::Linear*> inputs(const model::Attention& attention) {
    std::vector<const model::Linear*> qkv;
    for (const model::Linear& part : attention.qkv) qkv.push_back(&part);
    return qkv;
}

}  // namespace

WeightSources::WeightSources(const gguf::File& file, backend::Backend& backend, std::int64_t chunk_tokens,
                             Replacement* replacement)
    : file_(file), backend_(backend), chunk_tokens_(chunk_tokens), mapped_(file), replacement_(replacement) {}

std::uint64_t Job::read_bytes() const noexcept {
    std::uint64_t total = 0;
    for (const TensorRange& range : reads) total += range.size_bytes;
    return total;
}

std::vector<float> WeightSources::read_f32(const std::string& name) const {
    const gguf::Tensor& tensor = file_.get(name);
    std::vector<float> values(tensor.elements());
    const std::byte* from = file_.data(tensor).data();
    for (std::uint64_t row = 0; row < tensor.rows(); row += tensor.type->group_rows)
        tensor.type->decode(from + row * tensor.row_bytes(), tensor.ne[0],
                            values.data() + row * tensor.ne[0]);
    return values;
}

TensorRange WeightSources::range(const model::Weight& weight, std::int64_t index, std::int64_t first_row,
                                 std::int64_t n_rows) const {
    const gguf::Tensor& tensor = file_.get(weight.name);
    const std::uint64_t row = tensor.row_bytes();
    const std::int64_t first = index * weight.n_out + first_row;
    const std::int64_t together = tensor.type->group_rows;
    if (first % together != 0 || n_rows % together != 0)
        throw_error(ErrorKind::Unsupported, weight.name,
                    "{} rows from row {} are wanted, but type {} stores {} rows together", n_rows, first,
                    tensor.type->name, together);
    return {&tensor, static_cast<std::uint64_t>(first) * row, static_cast<std::uint64_t>(n_rows) * row};
}

backend::WeightSource WeightSources::source(const TensorBytes& bytes, const model::Weight& weight,
                                            const TensorRange& range, std::int64_t index) const {
    const auto n_rows = static_cast<std::int64_t>(range.size_bytes / range.tensor->row_bytes());
    backend::WeightSource source{range.tensor->type, bytes.get(range), weight.n_in, n_rows, 1};
    if (!weight.scale.empty()) source.scale = read_f32(weight.scale)[static_cast<std::size_t>(index)];
    if (replacement_ != nullptr && replacement_->replaces(weight.name))
        return replacement_->replace(
            weight.name, static_cast<std::int64_t>(range.begin_bytes / range.tensor->row_bytes()), source);
    return source;
}

backend::WeightSource WeightSources::mapped(const model::Weight& weight) const {
    return source(mapped_, weight, range(weight, 0, 0, weight.n_out));
}

backend::MatrixPtr WeightSources::matrix(const TensorBytes& bytes,
                                         const std::vector<const model::Linear*>& stacked, std::int64_t index,
                                         backend::DType operand) const {
    std::vector<backend::WeightSource> sources;
    for (const model::Linear* part : stacked)
        sources.push_back(
            source(bytes, part->weight, range(part->weight, index, 0, part->weight.n_out), index));
    return backend_.prepare(sources, operand);
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

LinearWeights WeightSources::linear(const TensorBytes& bytes,
                                    const std::vector<const model::Linear*>& stacked) const {
    return linear(bytes, stacked, backend_.operand_dtype());
}

LinearWeights WeightSources::linear(const TensorBytes& bytes,
                                    const std::vector<const model::Linear*>& stacked,
                                    backend::DType operand) const {
    std::vector<float> bias;
    bool has_bias = false;
    for (const model::Linear* part : stacked) {
        has_bias = has_bias || part->bias.present();
        const std::size_t at = bias.size();
        bias.resize(at + static_cast<std::size_t>(part->weight.n_out));
        if (part->bias.present())
            std::ranges::copy(read_f32(part->bias.name), bias.begin() + static_cast<std::ptrdiff_t>(at));
    }
    LinearWeights weights;
    weights.matrix = matrix(bytes, stacked, 0, operand);
    if (has_bias) weights.bias = backend_.upload(bias);
    return weights;
}

AttentionWeights WeightSources::attention(const TensorBytes& bytes, const model::Attention& attention) const {
    AttentionWeights weights;
    weights.qkv = linear(bytes, inputs(attention));
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
        for (std::int64_t p = 0; p < chunk_tokens_; ++p) {
            const std::int64_t step = p / attention.temperature_length;
            factors.push_back(1 + attention.temperature * std::log(static_cast<float>(step) + 1));
        }
        weights.query_scale = backend_.upload(factors);
    }
    weights.output = linear(bytes, {&attention.output});
    return weights;
}

std::uint64_t prepared_bytes(const backend::Backend& backend, const model::Weight& weight) {
    return static_cast<std::uint64_t>(weight.n_in * weight.n_out * backend::size_of(backend.operand_dtype()));
}

void WeightSources::add_matrices(Job& job, const model::Linear& linear, std::int64_t first,
                                 std::int64_t count) const {
    job.reads.push_back(range(linear.weight, first, 0, count * linear.weight.n_out));
    job.prepared_bytes += prepared_bytes(backend_, linear.weight) * static_cast<std::uint64_t>(count);
}

Job WeightSources::mixer(const model::Layer& layer) const {
    Job job;
    const auto& attention = std::get<model::Attention>(layer.mixer);
    for (const model::Linear* linear : inputs(attention)) add_matrices(job, *linear);
    add_matrices(job, attention.output);
    job.make = [this, &layer, &attention](const TensorBytes& bytes) -> Unit {
        return MixerWeights{norm(layer.mixer_norm), this->attention(bytes, attention),
                            norm(layer.mixer_post_norm)};
    };
    return job;
}

Job WeightSources::ffn(const model::Layer& layer) const {
    Job job;
    const auto* dense = std::get_if<model::DenseFfn>(&layer.ffn);
    const auto* experts = std::get_if<model::ExpertFfn>(&layer.ffn);
    if (dense != nullptr) {
        for (const model::Linear* linear : {&dense->gate, &dense->up, &dense->down})
            add_matrices(job, *linear);
    } else {
        add_matrices(job, experts->router);
    }
    job.make = [this, &layer, dense, experts](const TensorBytes& bytes) -> Unit {
        FfnWeights weights{norm(layer.ffn_norm), {}, {}, norm(layer.ffn_post_norm)};
        if (dense != nullptr)
            weights.dense = {linear(bytes, dense_inputs(*dense)), linear(bytes, {&dense->down})};
        else
            weights.router = linear(bytes, {&experts->router}, backend::DType::F32);
        return weights;
    };
    return job;
}

Job WeightSources::experts(const model::ExpertFfn& ffn, std::int64_t first, std::int64_t count) const {
    Job job;
    for (const model::Linear* linear : {&ffn.gate, &ffn.up, &ffn.down})
        add_matrices(job, *linear, first, count);
    job.make = [this, &ffn, first, count](const TensorBytes& bytes) -> Unit {
        const backend::DType operand = backend_.operand_dtype();
        ExpertUnit unit{first, {}, {}};
        for (std::int64_t e = first; e < first + count; ++e) {
            unit.gate_up.push_back(matrix(bytes, {&ffn.gate, &ffn.up}, e, operand));
            unit.down.push_back(matrix(bytes, {&ffn.down}, e, operand));
        }
        return unit;
    };
    return job;
}

Job WeightSources::vocabulary(const model::Linear& output, std::int64_t first, std::int64_t count) const {
    Job job;
    const TensorRange rows = range(output.weight, 0, first, count);
    job.reads.push_back(rows);
    job.prepared_bytes =
        static_cast<std::uint64_t>(output.weight.n_in * count * backend::size_of(backend_.operand_dtype()));
    job.make = [this, &output, first, count, rows](const TensorBytes& bytes) -> Unit {
        const backend::WeightSource panel[] = {source(bytes, output.weight, rows)};
        VocabularyUnit unit{first, backend_.prepare(panel), nullptr};
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
