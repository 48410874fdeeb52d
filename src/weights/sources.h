// A model's tensors on their way to the backend: which bytes make which prepared matrix.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "gguf/tensor_bytes.h"
#include "plan/plan.h"
#include "weights/replacement.h"

namespace assay::weights {

/// What one step is multiplied with.
struct StepWeights {
    /// One matrix of all linears side by side; of heads, or experts (gate rows, then up rows), one each.
    std::vector<backend::MatrixPtr> matrices;
    backend::BufferPtr bias;               ///< of `matrices`, one after another; null: none has any
    std::vector<backend::MatrixPtr> down;  ///< of experts
    backend::BufferPtr down_bias;

    const float* bias_data() const noexcept { return bias ? bias->f32() : nullptr; }
};

/// A piece made ready.
struct Unit {
    std::int64_t first = 0;          ///< expert or row
    std::vector<StepWeights> steps;  ///< of the stage; of the output projection one
    std::map<std::string, backend::BufferPtr> vectors;

    /// Backend memory; null for an absent vector.
    const float* vector(const model::Vector& vector) const {
        return vector.present() ? vectors.at(vector.name)->f32() : nullptr;
    }
};

/// A unit to come.
struct Job {
    gguf::FileRanges reads;
    bool reuses_reads = false;  ///< made from what the job before it has read
    std::function<Unit(const gguf::TensorBytes&)> make;
};

/// Turns pieces into jobs. plan::PassPlan, backend and replacement are borrowed.
class Sources {
  public:
    /// `replacement`: of a variant of the model; null: the model itself.
    Sources(const plan::PassPlan& plan, backend::Backend& backend, Replacement* replacement = nullptr)
        : plan_(plan), backend_(backend), mapped_(plan.file()), replacement_(replacement) {}

    Job job(const plan::Piece& piece) const;
    /// All of a matrix, mapped, as the model has it.
    backend::WeightSource mapped(const model::Weight& weight) const;

  private:
    Unit make_stage(const plan::Piece& piece, const gguf::TensorBytes& bytes) const;
    Unit make_panel(const plan::Piece& piece, const gguf::TensorBytes& bytes) const;
    StepWeights make_step(const model::Operation& operation, const gguf::TensorBytes& bytes) const;
    StepWeights make_experts(const model::Experts& experts, const plan::Piece& piece,
                             const gguf::TensorBytes& bytes) const;
    gguf::TensorRange range(const model::Weight& weight, std::int64_t first_row, std::int64_t n_rows) const;
    backend::WeightSource source(const gguf::TensorBytes& bytes, const model::Weight& weight,
                                 std::int64_t first_row, std::int64_t n_rows) const;
    backend::WeightSource matrix(const gguf::TensorBytes& bytes, const model::Weight& weight,
                                 std::int64_t index) const {
        return source(bytes, weight, index * weight.n_out, weight.n_out);
    }
    backend::BufferPtr biases(const std::vector<const model::Linear*>& linears, std::int64_t first,
                              std::int64_t count) const;
    std::vector<float> numbers(const model::Vector& vector) const;
    /// All of a vector, or one element, for which the rest is not decoded.
    std::vector<float> read_f32(const std::string& name) const;
    float read_element(const std::string& name, std::int64_t index) const;

    const plan::PassPlan& plan_;
    backend::Backend& backend_;
    gguf::TensorBytes mapped_;
    Replacement* replacement_;
};

}  // namespace assay::weights
