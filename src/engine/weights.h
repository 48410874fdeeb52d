// A model's tensors on their way to the backend: which bytes make which prepared matrix.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "engine/replacement.h"
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

/// Everything of a layer but its experts, which come as units of their own.
struct LayerWeights {
    NormWeights mixer_norm;
    AttentionWeights attention;
    NormWeights mixer_post_norm;
    NormWeights ffn_norm;
    DenseWeights dense;
    LinearWeights router;
    NormWeights ffn_post_norm;
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

using Unit = std::variant<LayerWeights, ExpertUnit, VocabularyUnit>;

/// A unit to come: what it costs and how to make it.
struct Job {
    std::uint64_t file_bytes = 0;      ///< read for it
    std::uint64_t prepared_bytes = 0;  ///< estimate of what it holds
    std::vector<const gguf::Tensor*> tensors;
    std::function<Unit()> make;
};

/// Turns descriptions into jobs. The file, the backend and the replacement are borrowed.
class WeightSources {
  public:
    /// `replacement`: of a variant of the model; null: the model itself.
    WeightSources(const gguf::File& file, backend::Backend& backend, std::int64_t chunk_tokens,
                  Replacement* replacement = nullptr);

    Job layer(const model::Layer& layer) const;
    Job experts(const model::ExpertFfn& ffn, std::int64_t first, std::int64_t count) const;
    Job vocabulary(const model::Linear& output, std::int64_t first, std::int64_t count) const;

    NormWeights norm(const model::Norm& norm) const;
    /// Matrix `index` of a weight, rows [first_row, first_row + n_rows).
    backend::WeightSource source(const model::Weight& weight, std::int64_t index, std::int64_t first_row,
                                 std::int64_t n_rows) const;
    /// All of matrix `index`.
    backend::WeightSource source(const model::Weight& weight, std::int64_t index = 0) const;
    std::vector<float> read_f32(const std::string& name) const;

  private:
    LinearWeights linear(const std::vector<const model::Linear*>& stacked, backend::DType operand) const;
    LinearWeights linear(const std::vector<const model::Linear*>& stacked) const;
    AttentionWeights attention(const model::Attention& attention) const;
    LayerWeights make_layer(const model::Layer& layer) const;

    const gguf::File& file_;
    backend::Backend& backend_;
    std::int64_t chunk_tokens_;
    Replacement* replacement_;
};

/// Bytes of one matrix prepared for products.
std::uint64_t prepared_bytes(const backend::Backend& backend, const model::Weight& weight);

}  // namespace assay::engine
