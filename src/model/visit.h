// What a step touches, for those who walk a program without asking which operation it is.
#pragma once

#include <vector>

#include "model/program.h"

namespace assay::model {

/// Word for a reader: "product", "attend".
const char* name_of(const Operation& operation);

/// Values that a step reads, its out among them where the operation is in place or adds to it.
std::vector<Value> inputs(const Step& step);

/// Matrices that inputs are multiplied with, in order of use.
std::vector<const Linear*> linears(const Operation& operation);

/// Stages whose products are collected: those of the layers, then of the blocks behind the head.
std::vector<const Stage*> collected_stages(const Program& program);

/// Every vector: of norms, rotations, biases, ...; those absent too.
std::vector<const Vector*> vectors(const Operation& operation);

/// One product whose input is observed.
struct ObservedInput {
    Value x{};
    std::vector<const Linear*> linears{};
    std::int64_t n_matrices = 1;  ///< that share x by heads
    bool precise = false;         ///< takes f32 whatever the precision
};

/// The input of the products within a step; x absent where there is none. That of experts is not among them:
/// only some rows count.
ObservedInput observed_input(const Operation& operation);

/// Whether out was there before the step: it is turned in place, or added to.
bool updates(const Operation& operation);

}  // namespace assay::model
