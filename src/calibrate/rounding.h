// Weights rounded to a storage type, as a quantiser would leave them: what a sensitivity run puts in place of
// the model's own.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "gguf/file.h"
#include "imatrix/matrix.h"
#include "quant/type_table.h"
#include "recipe/errors.h"
#include "weights/replacement.h"

namespace assay::calibrate {

/// Encoders at work, with the importance of each tensor's columns where a matrix has it. Model, matrix and
/// threads are borrowed. Not for two callers at once.
class Rounder {
  public:
    Rounder(const gguf::File& model, const imatrix::Matrix& matrix, ThreadPool& threads)
        : model_(model), matrix_(matrix), threads_(threads) {}

    /// Rows [first_row, first_row + plain.n_out) of the tensor in the type. Throws Error{Numeric} for a
    /// weight that is not finite, Error{Shape} when the matrix does not fit the tensor.
    std::vector<std::byte> round(const std::string& weight, std::int64_t first_row,
                                 const backend::WeightSource& plain, const quant::TypeInfo& type);

  private:
    const recipe::InputEnergy& importance_of(const std::string& weight);

    const gguf::File& model_;
    const imatrix::Matrix& matrix_;
    ThreadPool& threads_;
    std::map<std::string, recipe::InputEnergy> importance_;
};

/// A variant: some tensors in one type. Tensors stored in that type already stay as they are.
class Rounding final : public weights::Replacement {
  public:
    Rounding(std::set<std::string> weights, quant::TypeId type, Rounder& rounder)
        : weights_(std::move(weights)), type_(quant::type_info(type)), rounder_(rounder) {}

    bool replaces(const std::string& weight) const override { return weights_.contains(weight); }
    backend::WeightSource replace(const std::string& weight, std::int64_t first_row,
                                  const backend::WeightSource& plain) override;
    void release() override { bytes_.clear(); }

  private:
    std::set<std::string> weights_;
    const quant::TypeInfo& type_;
    Rounder& rounder_;
    std::deque<std::vector<std::byte>> bytes_;
};

}  // namespace assay::calibrate
