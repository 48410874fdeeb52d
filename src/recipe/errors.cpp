#include "recipe/errors.h"

#include <algorithm>
#include <cmath>

#include "core/cpu.h"
#include "core/error.h"
#include "quant/decode.h"
#include "quant/encode.h"
#include "quant/row_reader.h"
#include "recipe/guide.h"

namespace assay::recipe {

namespace {

/// Rows that one task rounds. Sums are made per task and added in task order, so this number, not the
/// number of threads, fixes the result.
constexpr std::size_t kRowsPerTask = 8;

/// Bytes of an exact measurement after which the pages read are given back.
constexpr std::uint64_t kDropBytes = std::uint64_t{64} << 20;

double weighted(std::span<const float> importance, std::span<const float> values) {
    double sum = 0.0;
    for (std::size_t j = 0; j < values.size(); ++j)
        sum += static_cast<double>(importance[j]) * values[j] * values[j];
    return sum;
}

struct Sums {
    double energy = 0.0;
    std::vector<double> error;   ///< [types]
    std::vector<double> weight;  ///< [n_in] of all rows, by column

    Sums(std::size_t types, std::size_t n_in) : error(types, 0.0), weight(n_in, 0.0) {}

    void add(const Sums& other) {
        energy += other.energy;
        for (std::size_t t = 0; t < error.size(); ++t) error[t] += other.error[t];
        for (std::size_t j = 0; j < weight.size(); ++j) weight[j] += other.weight[j];
    }
};

/// Rounds rows of one tensor; one per thread.
class Rounder {
  public:
    Rounder(const gguf::Tensor& tensor, std::span<const quant::TypeId> types)
        : tensor_(tensor),
          types_(types),
          reader_(*tensor.type, tensor.ne[0], detect_isa()),
          weights_(tensor.ne[0]),
          difference_(tensor.ne[0]) {
        for (const quant::TypeId type : types)
            encoded_.resize(std::max(encoded_.size(), static_cast<std::size_t>(quant::row_bytes(
                                                          quant::type_info(type), tensor.ne[0]))));
    }

    void add(const std::byte* tensor, std::uint64_t row, std::span<const float> importance, bool has_data,
             Sums& sums) {
        const std::size_t n = weights_.size();
        reader_.read(tensor, row, weights_.data());
        if (!std::all_of(weights_.begin(), weights_.end(), [](float w) { return std::isfinite(w); }))
            throw_error(ErrorKind::Numeric, tensor_.name, "a weight is not finite");
        sums.energy += weighted(importance, weights_);
        for (std::size_t j = 0; j < n; ++j) sums.weight[j] += weights_[j];
        for (std::size_t t = 0; t < types_.size(); ++t) {
            if (types_[t] == tensor_.type->id) continue;
            const float* guide = quantiser_guide(types_[t], weights_,
                                                 has_data ? importance : std::span<const float>{}, guide_);
            quant::find_encoder(types_[t])(weights_.data(), n, guide, encoded_.data());
            quant::decoder(types_[t], detect_isa())(encoded_.data(), n, difference_.data());
            for (std::size_t j = 0; j < n; ++j) difference_[j] -= weights_[j];
            sums.error[t] += weighted(importance, difference_);
        }
    }

  private:
    const gguf::Tensor& tensor_;
    std::span<const quant::TypeId> types_;
    quant::RowReader reader_;
    std::vector<float> weights_;
    std::vector<float> difference_;
    std::vector<float> guide_;
    std::vector<std::byte> encoded_;
};

void check_types(const gguf::Tensor& tensor, std::span<const quant::TypeId> types) {
    for (const quant::TypeId type : types) {
        if (type != tensor.type->id && quant::find_encoder(type) == nullptr)
            throw_error(ErrorKind::Internal, tensor.name, "there is no encoder for type {}",
                        quant::type_info(type).name);
        (void)quant::row_bytes(quant::type_info(type), tensor.ne[0]);  // throws when the row does not fit
    }
}

Sums sum_rows(const gguf::File& model, const gguf::Tensor& tensor, const InputEnergy& inputs,
              std::span<const quant::TypeId> types, std::span<const std::uint64_t> rows,
              ThreadPool& threads) {
    const std::size_t n_tasks = (rows.size() + kRowsPerTask - 1) / kRowsPerTask;
    const std::span<const std::byte> data = model.data(tensor);
    std::vector<Rounder> rounders(static_cast<std::size_t>(threads.size()), Rounder(tensor, types));
    std::vector<Sums> parts(n_tasks, Sums(types.size(), tensor.ne[0]));
    threads.run(static_cast<std::int64_t>(n_tasks), [&](std::int64_t task, int thread) {
        const std::size_t first = static_cast<std::size_t>(task) * kRowsPerTask;
        const std::size_t last = std::min(first + kRowsPerTask, rows.size());
        for (std::size_t i = first; i < last; ++i)
            rounders[static_cast<std::size_t>(thread)].add(data.data(), rows[i], inputs.of_row(rows[i]),
                                                           inputs.has_data(),
                                                           parts[static_cast<std::size_t>(task)]);
    });
    Sums total(types.size(), tensor.ne[0]);
    for (const Sums& part : parts) total.add(part);
    return total;
}

/// sum_rows() over slices small enough that a tensor larger than memory passes through it.
Sums sum_in_slices(const gguf::File& model, const gguf::Tensor& tensor, const InputEnergy& inputs,
                   std::span<const quant::TypeId> types, std::span<const std::uint64_t> rows,
                   ThreadPool& threads) {
    const std::size_t slice = std::max<std::size_t>(
        kRowsPerTask, static_cast<std::size_t>(kDropBytes / std::max<std::uint64_t>(1, tensor.row_bytes())) /
                          kRowsPerTask * kRowsPerTask);
    Sums total(types.size(), tensor.ne[0]);
    for (std::size_t first = 0; first < rows.size(); first += slice) {
        const auto part = rows.subspan(first, std::min(slice, rows.size() - first));
        total.add(sum_rows(model, tensor, inputs, types, part, threads));
        const std::uint64_t begin = part.front() * tensor.row_bytes();
        const std::uint64_t end = (part.back() + 1) * tensor.row_bytes();
        model.shard(tensor.shard).drop(tensor.offset_bytes + begin, end - begin);
    }
    return total;
}

}  // namespace

InputEnergy::InputEnergy(const gguf::Tensor& tensor, const imatrix::Entry* entry)
    : n_in_(tensor.ne[0]), rows_per_matrix_(std::max<std::uint64_t>(1, tensor.ne[1])) {
    const std::uint64_t matrices = tensor.ne[2] * tensor.ne[3];
    has_data_ = entry != nullptr && entry->max_count() > 0;
    if (!has_data_) {
        values_.assign(n_in_, 1.0f);
        return;
    }
    const std::uint64_t heads = matrices == 1 && entry->counts.size() == 1 ? entry->sum_sq.size() / n_in_ : 1;
    if (heads == 0 || entry->sum_sq.size() != n_in_ * matrices * heads || rows_per_matrix_ % heads != 0)
        throw_error(ErrorKind::Shape, tensor.name, "the matrix has {} values, the tensor needs {}",
                    entry->sum_sq.size(), n_in_ * matrices);
    rows_per_matrix_ /= heads;
    // Divided by the largest: encoders want ratios, and floats must hold them.
    const double largest = *std::max_element(entry->sum_sq.begin(), entry->sum_sq.end());
    const double to_unit = largest > 0.0 ? 1.0 / largest : 1.0;
    values_.resize(entry->sum_sq.size());
    for (std::size_t i = 0; i < values_.size(); ++i)
        values_[i] = static_cast<float>(entry->sum_sq[i] * to_unit);

    double uses = 0.0;  // of experts; a dense weight is used once per token
    for (const double count : entry->counts) uses += count;
    unit_ = 1.0 / (to_unit * uses);
    std::vector<double> mean(n_in_, 0.0);  // of one use, over all matrices
    for (std::size_t i = 0; i < values_.size(); ++i) mean[i % n_in_] += entry->sum_sq[i] * to_unit / uses;
    const std::uint64_t per_count = entry->columns_per_count();
    for (std::size_t c = 0; c < entry->counts.size(); ++c)
        for (std::uint64_t j = 0; entry->counts[c] == 0 && j < per_count; ++j)
            values_[c * per_count + j] = static_cast<float>(mean[(c * per_count + j) % n_in_]);
}

std::span<const float> InputEnergy::of_row(std::uint64_t row) const noexcept {
    const std::uint64_t first = row / rows_per_matrix_ * n_in_;
    return std::span(values_).subspan(first < values_.size() ? first : 0, n_in_);
}

std::vector<std::uint64_t> sampled_rows(std::uint64_t rows, std::uint64_t matrices, std::uint64_t max_rows) {
    const std::uint64_t n =
        max_rows == 0 ? rows : std::min(rows, std::max(max_rows, 2 * std::max<std::uint64_t>(1, matrices)));
    std::vector<std::uint64_t> found(n);
    // The middle of each of n equal parts, without a product that could overflow.
    const double part = n == 0 ? 0.0 : static_cast<double>(rows) / static_cast<double>(n);
    for (std::uint64_t i = 0; i < n; ++i)
        found[i] = n == rows ? i : static_cast<std::uint64_t>((static_cast<double>(i) + 0.5) * part);
    return found;
}

TensorErrors measure(const gguf::File& model, const gguf::Tensor& tensor, const imatrix::Entry* entry,
                     std::span<const quant::TypeId> types, std::uint64_t max_rows, ThreadPool& threads) {
    check_types(tensor, types);
    const InputEnergy inputs(tensor, entry);
    const auto rows = sampled_rows(tensor.rows(), tensor.ne[2] * tensor.ne[3], max_rows);
    const Sums sums = sum_in_slices(model, tensor, inputs, types, rows, threads);
    const double scale =
        rows.empty() ? 0.0
                     : inputs.unit() * static_cast<double>(tensor.rows()) / static_cast<double>(rows.size());

    TensorErrors errors;
    errors.has_data = inputs.has_data();
    errors.rows_measured = rows.size();
    errors.energy = errors.centred_energy = sums.energy * scale;
    if (tensor.ne[2] * tensor.ne[3] == 1 && !rows.empty()) {
        double of_mean = 0.0;
        for (std::size_t j = 0; j < sums.weight.size(); ++j)
            of_mean += static_cast<double>(inputs.of_row(0)[j]) * sums.weight[j] * sums.weight[j];
        of_mean /= static_cast<double>(rows.size());
        errors.centred_energy = std::max(0.0, sums.energy - of_mean) * scale;
    }
    for (std::size_t t = 0; t < types.size(); ++t)
        errors.candidates.push_back(
            {types[t], quant::row_bytes(quant::type_info(types[t]), tensor.ne[0]) * tensor.rows(),
             sums.error[t] * scale});
    return errors;
}

}  // namespace assay::recipe
