// The operations of a program (model/program.h) in double, by plain loops over the rows of one chunk: row r
// is position r. They share no code with a backend; formulas are those of core/kinds.h and model/program.h.
#pragma once

#include <span>
#include <vector>

#include "model/program.h"
#include "oracle/table.h"
#include "oracle/tensors.h"

namespace assay::oracle {

// functions.cpp: numbers of one row by themselves
double activate(Activation activation, double x);
double gate(const GateFunction& function, double g, double u);
Table normalise(const Table& x, const model::Norm& norm, std::int64_t n_slices, const Tensors& tensors);
Table turn(const Table& x, const model::TurnHeads& op, const Tensors& tensors);
Table reduce(const Table& x, Reduction kind, std::int64_t n_slices);
Table softmax(const Table& x, std::int64_t n_slices);
Table sinkhorn(const Table& x, const model::Sinkhorn& op);
/// out [rows, n_out * w] += the streams of x, mixed.
void mix(const Table& x, const Table& coefficients, const model::Mix& op, Table& out);

/// A link with its operand; empty where it has none.
struct Operand {
    Table value{};
    Numbers vector{};
};
Table chain(const Table& x, const std::vector<model::Link>& links, const std::vector<Operand>& operands);

// mixers.cpp: earlier rows of the chunk
Table attend(const Table& q, const Table& k, const Table& v, const model::Attend& op, const Tensors& tensors);
Table convolve(const Table& x, const model::Convolve& op, const Tensors& tensors);
struct ScanInputs {
    Table q{}, k{}, v{}, decay{}, beta{}, a{}, b{};  ///< empty: absent
};
Table scan(const ScanInputs& x, const model::Scan& op, const Tensors& tensors);
Table selective_scan(const Table& x, const Table& dt, const Table& b, const Table& c,
                     const model::SelectiveScan& op, const Tensors& tensors);

// router.cpp
struct Choice {
    std::int64_t expert = 0;
    double weight = 0;
};
/// How far the least score that is chosen lies above the greatest that is not.
double margin(std::span<const double> logits, const model::Router& router, const Numbers& selection_bias);
/// Experts of one row. `given`: its experts where they do not follow from the scores.
std::vector<Choice> route(std::span<const double> logits, const model::Router& router,
                          const Numbers& selection_bias, const std::vector<std::int64_t>& given);

}  // namespace assay::oracle
