// The backend's operations in double, one plain loop after another: the truth that every backend is compared
// with. Row-major matrices.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace assay::backend::reference {

struct Matrix {
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::vector<double> values;

    Matrix() = default;
    Matrix(std::int64_t n_rows, std::int64_t n_cols)
        : rows(n_rows), cols(n_cols), values(static_cast<std::size_t>(n_rows * n_cols)) {}
    double& at(std::int64_t r, std::int64_t c) { return values[static_cast<std::size_t>(r * cols + c)]; }
    double at(std::int64_t r, std::int64_t c) const { return values[static_cast<std::size_t>(r * cols + c)]; }
};

struct Norm {
    NormKind kind = NormKind::None;
    std::vector<float> weight;
    std::vector<float> bias;
    double eps = 0;
    std::int64_t n_slices = 1;
    bool repeats = false;
};

Matrix norm(const Matrix& x, const Norm& norm);
/// x w^T; w [n_out, n_in].
Matrix product(const Matrix& x, const Matrix& w);
/// The sum of |x| |w| behind each output: what rounding errors are relative to.
Matrix product_of_magnitudes(const Matrix& x, const Matrix& w);
double activate(Activation activation, double x);
double gate(const GateFunction& function, double g, double u);
/// How far the result of gate() may be off where g and u are off by this much, and f32 arithmetic follows:
/// the most that it differs in the corners and the middle of the box, half as much again where it bends, and
/// some f32 steps of the factors.
double gate_error(const GateFunction& function, double g, double u, double g_error, double u_error);

struct Rope {
    Pairing pairing = Pairing::Adjacent;
    std::vector<float> frequencies;
    double magnitude = 1;
    std::int64_t first = 0;
    bool backwards = false;
};
Matrix rotate_heads(const Matrix& x, std::int64_t n_heads, const Norm& norm, bool norm_last, const Rope& rope,
                    std::int64_t chunk_tokens);

struct Attention {
    std::int64_t n_heads = 0;
    std::int64_t n_kv_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t value_dim = 0;
    double scale = 1;
    double soft_cap = 0;
    std::int64_t window = 0;
    std::vector<float> query_scale{};
    bool causal = true;
    WindowKind window_kind = WindowKind::Sliding;
    std::vector<float> sinks{};
    std::vector<float> slopes{};
};
struct AttentionResult {
    Matrix out;
    Matrix magnitudes;  ///< sums of p |v|
};
AttentionResult attention(const Matrix& q, const Matrix& k, const Matrix& v, const Attention& args,
                          std::int64_t chunk_tokens);

struct Choice {
    std::vector<std::int64_t> experts;  ///< best first, or as given
    std::vector<double> weights;
};
/// selection_bias: args has it in backend memory.
std::vector<Choice> route(const Matrix& logits, const RouteArgs& args,
                          const std::vector<float>& selection_bias);

double loss(const Matrix& logits, std::int64_t row, std::int64_t target);
/// KL(softmax(a) || softmax(b)) of one row.
double divergence(const Matrix& a, const Matrix& b, std::int64_t row);
/// The largest logit of a row, the first of equal ones, and how far it is above the next.
struct Top {
    std::int64_t entry = 0;
    double lead = 0;
};
Top top(const Matrix& logits, std::int64_t row);

}  // namespace assay::backend::reference
