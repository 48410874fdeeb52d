// The tensors that quantisers give a new type, held against the entries of a matrix: each has data or a
// reason why not.
#pragma once

#include <string>
#include <vector>

#include "gguf/file.h"
#include "imatrix/matrix.h"
#include "model/program.h"

namespace assay::calibrate {

struct TensorData {
    std::string name;
    bool has_data = false;
    std::string reason;  ///< why it has none; empty: nothing explains that
    std::string rows;    ///< "512 tokens", "3 to 20 tokens for each of 16 experts"; or why there are none

    /// What is wrong where it has neither data nor a reason.
    std::string lack() const;
};

struct Inventory {
    std::vector<TensorData> tensors;  ///< all of the model, in the file's order

    /// Neither data nor a reason.
    std::vector<std::string> unexplained() const;
    /// One line: how many have data, and how many for each reason have none.
    std::string sentence() const;
    /// A line for each tensor.
    std::vector<std::string> lines() const;
};

/// What a quantiser would find in the matrix for each tensor of the file whose program this is.
Inventory take_inventory(const gguf::File& file, const model::Program& program,
                         const imatrix::Matrix& matrix);

/// For tensors of the file that quantisers round though nothing is multiplied with them (tables of biases):
/// mean 1 and a count of 1, since every column weighs the same. Types that demand data demand it for these
/// too. Returns their names.
std::vector<std::string> add_equal_weights(const gguf::File& file, const model::Program& program,
                                           imatrix::Matrix& matrix);

}  // namespace assay::calibrate
