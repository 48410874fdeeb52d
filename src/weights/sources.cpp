#include "weights/sources.h"

#include <algorithm>

#include "core/error.h"
#include "model/visit.h"

namespace assay::weights {

std::vector<float> Sources::read_f32(const std::string& name) const {
    const gguf::Tensor& tensor = plan_.file().get(name);
    std::vector<float> values(tensor.elements());
    const std::byte* from = plan_.file().data(tensor).data();
    for (std::uint64_t row = 0; row < tensor.rows(); row += tensor.type->group_rows)
        tensor.type->decode(from + row * tensor.row_bytes(), tensor.ne[0],
                            values.data() + row * tensor.ne[0]);
    return values;
}

float Sources::read_element(const std::string& name, std::int64_t index) const {
    const gguf::Tensor& tensor = plan_.file().get(name);
    if (tensor.type->block != 1 || tensor.type->group_rows != 1)
        return read_f32(name)[static_cast<std::size_t>(index)];
    float value = 0;
    tensor.type->decode(plan_.file().data(tensor).data() + index * tensor.type->block_bytes, 1, &value);
    return value;
}

std::vector<float> Sources::numbers(const model::Vector& vector) const {
    return vector.values.empty() ? read_f32(vector.name) : vector.values;
}

gguf::TensorRange Sources::range(const model::Weight& weight, std::int64_t first_row,
                                 std::int64_t n_rows) const {
    const gguf::Tensor& tensor = plan_.file().get(weight.name);
    const std::uint64_t row = tensor.row_bytes();
    const std::int64_t together = tensor.type->group_rows;
    if (first_row % together != 0 || n_rows % together != 0)
        throw_error(ErrorKind::Unsupported, weight.name,
                    "{} rows from row {} are wanted, but type {} stores {} rows together", n_rows, first_row,
                    tensor.type->name, together);
    return {&tensor, static_cast<std::uint64_t>(first_row) * row, static_cast<std::uint64_t>(n_rows) * row};
}

backend::WeightSource Sources::source(const gguf::TensorBytes& bytes, const model::Weight& weight,
                                      std::int64_t first_row, std::int64_t n_rows) const {
    const gguf::TensorRange rows = range(weight, first_row, n_rows);
    backend::WeightSource source{rows.tensor->type, bytes.get(rows), weight.n_in, n_rows, 1};
    if (!weight.scale.empty()) source.scale = read_element(weight.scale, first_row / weight.n_out);
    if (replacement_ != nullptr && replacement_->replaces(weight.name))
        return replacement_->replace(weight.name, first_row, source);
    return source;
}

backend::WeightSource Sources::mapped(const model::Weight& weight) const {
    const gguf::TensorRange rows = range(weight, 0, weight.n_out);
    return {rows.tensor->type, mapped_.get(rows), weight.n_in, weight.n_out, 1};
}

/// Biases of matrices [first, first + count) of linears side by side; null when none has any.
backend::BufferPtr Sources::biases(const std::vector<const model::Linear*>& linears, std::int64_t first,
                                   std::int64_t count) const {
    if (std::ranges::none_of(linears, [](const model::Linear* linear) { return linear->bias.present(); }))
        return {};
    std::vector<float> all;
    for (std::int64_t index = first; index < first + count; ++index)
        for (const model::Linear* linear : linears) {
            const auto size = static_cast<std::ptrdiff_t>(linear->weight.n_out);
            const auto at = static_cast<std::ptrdiff_t>(all.size());
            all.resize(all.size() + static_cast<std::size_t>(size));
            if (!linear->bias.present()) continue;
            const std::vector<float> bias = numbers(linear->bias);
            std::copy_n(bias.begin() + index * size, size, all.begin() + at);
        }
    return backend_.upload(all);
}

StepWeights Sources::make_step(const model::Operation& operation, const gguf::TensorBytes& bytes) const {
    StepWeights weights;
    const std::vector<const model::Linear*> linears = model::linears(operation);
    if (linears.empty()) return weights;
    const model::ObservedInput input = model::observed_input(operation);
    const backend::DType operand = input.precise ? backend::DType::F32 : backend_.operand_dtype();
    for (std::int64_t index = 0; index < input.n_matrices; ++index) {
        std::vector<backend::WeightSource> stacked;
        for (const model::Linear* linear : linears) stacked.push_back(matrix(bytes, linear->weight, index));
        weights.matrices.push_back(backend_.prepare(stacked, operand));
    }
    weights.bias = biases(linears, 0, input.n_matrices);
    return weights;
}

StepWeights Sources::make_experts(const model::Experts& experts, const plan::Piece& piece,
                                  const gguf::TensorBytes& bytes) const {
    StepWeights weights;
    std::vector<const model::Linear*> gate_up;
    for (const model::Linear* linear : {&experts.gate, &experts.up})
        if (linear->present()) gate_up.push_back(linear);
    for (std::int64_t e = piece.first; e < piece.first + piece.count; ++e) {
        std::vector<backend::WeightSource> stacked;
        for (const model::Linear* linear : gate_up) stacked.push_back(matrix(bytes, linear->weight, e));
        weights.matrices.push_back(backend_.prepare(stacked));
        if (!experts.down.present()) continue;
        const backend::WeightSource down = matrix(bytes, experts.down.weight, e);
        weights.down.push_back(backend_.prepare(std::span(&down, 1)));
    }
    weights.bias = biases(gate_up, piece.first, piece.count);
    if (experts.down.present()) weights.down_bias = biases({&experts.down}, piece.first, piece.count);
    return weights;
}

Unit Sources::make_stage(const plan::Piece& piece, const gguf::TensorBytes& bytes) const {
    const model::Stage& stage = *plan_.stages()[piece.stage].stage;
    Unit unit;
    unit.first = piece.first;
    for (const model::Step& step : stage.steps) {
        const auto* experts = std::get_if<model::Experts>(&step.operation);
        unit.steps.push_back(experts != nullptr ? make_experts(*experts, piece, bytes)
                                                : make_step(step.operation, bytes));
        const std::vector<const model::Linear*> linears = model::linears(step.operation);
        for (const model::Vector* vector : model::vectors(step.operation)) {
            const bool is_bias = std::ranges::any_of(
                linears, [&](const model::Linear* linear) { return &linear->bias == vector; });
            if (vector->present() && !is_bias && !unit.vectors.contains(vector->name))
                unit.vectors.emplace(vector->name, backend_.upload(numbers(*vector)));
        }
    }
    return unit;
}

Unit Sources::make_panel(const plan::Piece& piece, const gguf::TensorBytes& bytes) const {
    const model::Linear& output = plan_.projections().at(piece.stage - plan_.stages().size())->linear;
    const backend::WeightSource panel = source(bytes, output.weight, piece.first, piece.count);
    StepWeights weights;
    weights.matrices.push_back(backend_.prepare(std::span(&panel, 1)));
    if (output.bias.present()) {
        const std::vector<float> bias = numbers(output.bias);
        weights.bias = backend_.upload(std::span(bias).subspan(static_cast<std::size_t>(piece.first),
                                                               static_cast<std::size_t>(piece.count)));
    }
    Unit unit;
    unit.first = piece.first;
    unit.steps.push_back(std::move(weights));
    return unit;
}

Job Sources::job(const plan::Piece& piece) const {
    Job job;
    job.reads = {&plan_.file(), piece.reads};
    job.make = [this, &piece](const gguf::TensorBytes& bytes) {
        return piece.stage >= plan_.stages().size() ? make_panel(piece, bytes) : make_stage(piece, bytes);
    };
    return job;
}

}  // namespace assay::weights
