// What a type costs a tensor, measured by rounding its weights: the expected squared error of the product
// that the tensor takes part in.
//
// With inputs x whose columns are taken as uncorrelated, the output error of row i has the expectation
//   sum_j E[x_j^2] (w_ij - w^_ij)^2
// and the output itself the energy sum_j E[x_j^2] w_ij^2. The mean squares come from the importance matrix;
// experts count by the tokens that were sent to them. Without data every column counts the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "gguf/file.h"
#include "imatrix/matrix.h"
#include "quant/type_table.h"

namespace assay::recipe {

/// One type that a tensor could be stored in.
struct Candidate {
    quant::TypeId type;
    std::uint64_t bytes = 0;  ///< of the whole tensor
    double error = 0.0;       ///< expected square of the error of the outputs, summed, per use
};

struct TensorErrors {
    bool has_data = false;
    std::uint64_t rows_measured = 0;
    double energy = 0.0;  ///< expected square of the outputs, summed, per use
    /// The same of the outputs less their mean over rows: of logits, what a softmax sees. Of a tensor that is
    /// several matrices, the same as energy.
    double centred_energy = 0.0;
    std::vector<Candidate> candidates;

    /// A candidate's error as a part of the energy: comparable between tensors of any size and scale.
    double relative(const Candidate& candidate) const noexcept {
        return energy > 0.0 ? candidate.error / energy : 0.0;
    }
    /// As a part of the centred energy.
    double relative_to_centred(const Candidate& candidate) const noexcept {
        return centred_energy > 0.0 ? candidate.error / centred_energy : relative(candidate);
    }
};

/// Mean squares of the inputs of one tensor.
class InputEnergy {
  public:
    /// `entry` may be nullptr: no data, all ones. An expert that no token was sent to counts as if one token
    /// of the average kind had been. Of a tensor of two dimensions the entry may have n_in values for each of
    /// several heads, whose rows follow one another (attn_output_a). Throws Error{Shape} when the entry has
    /// not n_in values for each of the tensor's matrices.
    InputEnergy(const gguf::Tensor& tensor, const imatrix::Entry* entry);

    bool has_data() const noexcept { return has_data_; }
    /// [n_in], finite, not negative, in parts of unit(); row counts through all matrices of the tensor.
    std::span<const float> of_row(std::uint64_t row) const noexcept;
    double unit() const noexcept { return unit_; }

  private:
    bool has_data_ = false;
    double unit_ = 1.0;
    std::uint64_t n_in_ = 0;
    std::uint64_t rows_per_matrix_ = 1;
    std::vector<float> values_;  ///< [matrices or heads, n_in], or [n_in] for all
};

/// At most `max_rows` (0: all) of `rows`, evenly spaced, and at least two of each of `matrices` equal parts.
std::vector<std::uint64_t> sampled_rows(std::uint64_t rows, std::uint64_t matrices, std::uint64_t max_rows);

/// Bytes and error of each type; a type must fit the row and have an encoder, unless the tensor is stored in
/// it already, when nothing is lost. Reads only the sampled rows. The result does not depend on the number of
/// threads. Throws Error{Numeric} naming the tensor when a weight is not finite, Error{Shape} as above and
/// for a type that does not fit, Error{Internal} for a type without encoder.
TensorErrors measure(const gguf::File& model, const gguf::Tensor& tensor, const imatrix::Entry* entry,
                     std::span<const quant::TypeId> types, std::uint64_t max_rows, ThreadPool& threads);

}  // namespace assay::recipe
