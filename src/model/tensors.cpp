#include "model/tensors.h"

#include <array>

#include "core/error.h"

namespace assay::model {

std::string block_name(std::int64_t layer, std::string_view name) {
    return fmt::format("blk.{}.{}", layer, name);
}

const gguf::Tensor& Tensors::get(const std::string& name) {
    const gguf::Tensor& tensor = file_.get(name);
    used_.insert(name);
    return tensor;
}

void Tensors::check(const std::string& name, std::initializer_list<std::int64_t> ne) {
    const gguf::Tensor& tensor = get(name);
    std::array<std::uint64_t, 4> expected{1, 1, 1, 1};
    std::size_t i = 0;
    for (const std::int64_t n : ne) expected[i++] = static_cast<std::uint64_t>(n);
    if (tensor.ne == expected) return;
    std::string text;
    for (const std::int64_t n : ne)
        if (n != 1 || text.empty()) text += (text.empty() ? "" : ", ") + std::to_string(n);
    throw_error(ErrorKind::BadFile, file_.where(), "tensor {} has shape {}, the metadata asks for [{}]", name,
                tensor.shape_text(), text);
}

Vector Tensors::vector(const std::string& name, std::int64_t size) {
    const gguf::Tensor& tensor = get(name);
    if (tensor.elements() != static_cast<std::uint64_t>(size))
        throw_error(ErrorKind::BadFile, file_.where(),
                    "tensor {} has shape {}, the metadata asks for {} numbers in all", name,
                    tensor.shape_text(), size);
    return {name, size, {}};
}

std::vector<float> Tensors::numbers(const std::string& name, std::int64_t size) {
    vector(name, size);
    const gguf::Tensor& tensor = file_.get(name);
    std::vector<float> values(static_cast<std::size_t>(size));
    tensor.type->decode(file_.data(tensor).data(), values.size(), values.data());
    return values;
}

Vector Tensors::optional_vector(const std::string& name, std::int64_t size) {
    return has(name) ? vector(name, size) : Vector{};
}

Weight Tensors::weight(const std::string& prefix, std::int64_t n_in, std::int64_t n_out,
                       std::int64_t n_matrices) {
    const gguf::Tensor& tensor = get(prefix + ".weight");
    const bool stacked = n_matrices > 1 && tensor.ne[2] == 1;  // some files have their rows one after another
    if (stacked)
        check(prefix + ".weight", {n_in, n_out * n_matrices});
    else
        check(prefix + ".weight", {n_in, n_out, n_matrices});
    return {prefix + ".weight", n_in, n_out, n_matrices, {}};
}

Linear Tensors::linear(const std::string& prefix, std::int64_t n_in, std::int64_t n_out,
                       std::int64_t n_matrices) {
    Linear linear;
    linear.weight = weight(prefix, n_in, n_out, n_matrices);
    if (has(prefix + ".scale")) {
        linear.weight.scale = prefix + ".scale";
        check(linear.weight.scale, {n_matrices});
    }
    linear.bias = optional_vector(prefix + ".bias", n_out * n_matrices);
    return linear;
}

Norm Tensors::norm(const std::string& prefix, NormKind kind, std::int64_t size, float eps) {
    const std::string name = has(prefix) ? prefix : prefix + ".weight";
    return {kind, vector(name, size), optional_vector(prefix + ".bias", size), eps};
}

}  // namespace assay::model
