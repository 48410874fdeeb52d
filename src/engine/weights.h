// A model's tensors on their way to the backend: which bytes make which prepared matrix.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "engine/replacement.h"
#include "engine/tensor_bytes.h"
#include "gguf/file.h"
#include "model/spec.h"

namespace assay::engine {

struct NormWeights {
    backend::Norm norm;
    backend::BufferPtr weight;
    backend::BufferPtr bias;
};

/// One product: several linear layers of the same input, side by side.
struct LinearWeights {
    backend::MatrixPtr matrix;
    backend::BufferPtr bias;
    const float* bias_data() const noexcept { return bias ? bias->f32() : nullptr; }
};

struct AttentionWeights {
    LinearWeights qkv;
    NormWeights q_norm;
    NormWeights k_norm;
    backend::Rope rope;
    backend::BufferPtr frequencies;
    backend::BufferPtr query_scale;
    LinearWeights output;
};

struct DenseWeights {
    LinearWeights gate_up;
    LinearWeights down;
};

/// The first half of a layer.
struct MixerWeights {
    NormWeights norm;
    AttentionWeights attention;
    NormWeights post_norm;
};

/// The second half, but for experts, which come as units of their own.
struct FfnWeights {
    NormWeights norm;
    DenseWeights dense;
    LinearWeights router;
    NormWeights post_norm;
};

/// Consecutive experts of a layer.
struct ExpertUnit {
    std::int64_t first = 0;
    std::vector<backend::MatrixPtr> gate_up;
    std::vector<backend::MatrixPtr> down;
};

/// Consecutive rows of the output matrix.
struct VocabularyUnit {
    std::int64_t first = 0;
    backend::MatrixPtr panel;
    backend::BufferPtr bias;
};

using Unit = std::variant<MixerWeights, FfnWeights, ExpertUnit, VocabularyUnit>;

/// A unit to come: what it costs and how to make it.
struct Job {
    std::vector<TensorRange> reads;    ///< its matrices; smaller tensors are read as they are touched
    bool reuses_reads = false;         ///< made from what the job before it has read
    std::uint64_t prepared_bytes = 0;  ///< estimate of what it holds
    std::function<Unit(const TensorBytes&)> make;

    std::uint64_t read_bytes() const noexcept;
};

/// Turns descriptions into jobs. The file, the backend and the replacement are borrowed.
class WeightSources {
  public:
    /// `replacement`: of a variant of the model; null: the model itself.
    WeightSources(const gguf::File& file, backend::Backend& backend, std::int64_t chunk_tokens,
                  Replacement* replacement = nullptr);

    Job mixer(const model::Layer& layer) const;
    Job ffn(const model::Layer& layer) const;
    Job experts(const model::ExpertFfn& ffn, std::int64_t first, std::int64_t count) const;
    Job vocabulary(const model::Linear& output, std::int64_t first, std::int64_t count) const;

    NormWeights norm(const model::Norm& norm) const;
    /// All of a matrix, mapped.
    backend::WeightSource mapped(const model::Weight& weight) const;

  private:
    TensorRange range(const model::Weight& weight, std::int64_t index, std::int64_t first_row,
                      std::int64_t n_rows) const;
    /// Adds matrices [first, first + count) of a weight to a job's reads.
    void add_matrices(Job& job, const model::Linear& linear, std::int64_t first = 0,
                      std::int64_t count = 1) const;
    backend::WeightSource source(const TensorBytes& bytes, const model::Weight& weight,
                                 const TensorRange& range, std::int64_t index = 0) const;
    backend::MatrixPtr matrix(const TensorBytes& bytes, const std::vector<const model::Linear*>& stacked,
                              std::int64_t index, backend::DType operand) const;
    LinearWeights linear(const TensorBytes& bytes, const std::vector<const model::Linear*>& stacked,
                         backend::DType operand) const;
    LinearWeights linear(const TensorBytes& bytes, const std::vector<const model::Linear*>& stacked) const;
    AttentionWeights attention(const TensorBytes& bytes, const model::Attention& attention) const;
    std::vector<float> read_f32(const std::string& name) const;

    const gguf::File& file_;
    backend::Backend& backend_;
    std::int64_t chunk_tokens_;
    TensorBytes mapped_;
    Replacement* replacement_;
};

/// Bytes of one matrix prepared for products.
std::uint64_t prepared_bytes(const backend::Backend& backend, const model::Weight& weight);

}  // namespace assay::engine
