// Which entries a calibration of a program gives: one for each weight whose input is observed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/program.h"

namespace assay::model {

struct Entry {
    std::string weight;         ///< tensor name
    std::int64_t columns = 0;   ///< of all its matrices
    std::int64_t n_counts = 1;  ///< a matrix, where not all of them see every row (experts)

    friend bool operator==(const Entry&, const Entry&) = default;
};

/// In order of use, a weight once. The output projection's is among them where it is called
/// `observed_output`; that of a block that predicts ahead where it is the block's own.
std::vector<Entry> entries_of(const Program& program, const std::string& observed_output);

}  // namespace assay::model
