#include "oracle/tensors.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace assay::oracle {

const Numbers& Tensors::get(const std::string& name) const {
    if (const auto found = decoded_.find(name); found != decoded_.end()) return found->second;
    const gguf::Tensor& tensor = file_.get(name);
    Numbers numbers(tensor.elements());
    for (std::uint64_t row = 0; row < tensor.rows(); row += tensor.type->group_rows)
        tensor.type->decode(file_.data(tensor).data() + row * tensor.row_bytes(), tensor.ne[0],
                            numbers.data() + row * tensor.ne[0]);
    return decoded_.emplace(name, std::move(numbers)).first->second;
}

Numbers Tensors::vector(const model::Vector& vector) const {
    if (!vector.present()) return {};
    return vector.values.empty() ? get(vector.name) : vector.values;
}

std::int64_t Tensors::integer(const std::string& name, std::int64_t index) const {
    std::int32_t value = 0;
    std::memcpy(&value, file_.data(file_.get(name)).data() + static_cast<std::size_t>(index) * sizeof(value),
                sizeof(value));
    return value;
}

Table Tensors::product(const Table& x, const model::Linear& linear, std::int64_t matrix) const {
    constexpr std::int64_t kTogether = 8;  // chains of additions beside one another: a processor's latency
    const model::Weight& weight = linear.weight;
    const Numbers& w = get(weight.name);
    double scale = 1;
    if (!weight.scale.empty()) {
        const Numbers& factors = get(weight.scale);
        scale = at(factors, factors.size() == 1 ? 0 : matrix);
    }
    const Numbers bias = vector(linear.bias);
    Table y(x.rows, weight.n_out);
    for (std::int64_t first = 0; first < x.rows; first += kTogether) {
        const std::int64_t n = std::min(kTogether, x.rows - first);
        std::vector<double> columns(static_cast<std::size_t>(x.cols * kTogether));
        for (std::int64_t r = 0; r < n; ++r)
            for (std::int64_t i = 0; i < x.cols; ++i)
                columns[static_cast<std::size_t>(i * kTogether + r)] = x.at(first + r, i);
        for (std::int64_t o = 0; o < weight.n_out; ++o) {
            std::array<double, kTogether> sums{};
            const float* row = w.data() + (matrix * weight.n_out + o) * weight.n_in;
            for (std::int64_t i = 0; i < x.cols; ++i)
                for (std::size_t r = 0; r < kTogether; ++r)
                    sums[r] +=
                        static_cast<double>(row[i]) * columns[static_cast<std::size_t>(i * kTogether) + r];
            for (std::int64_t r = 0; r < n; ++r)
                y.at(first + r, o) = scale * sums[static_cast<std::size_t>(r)] +
                                     (bias.empty() ? 0 : at(bias, matrix * weight.n_out + o));
        }
    }
    return y;
}

}  // namespace assay::oracle
