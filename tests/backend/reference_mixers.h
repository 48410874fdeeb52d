// Operations of mixers other than attention in double, one plain loop after another, each with a bound of
// what f32 arithmetic in any order may be off by. u = 2^-24 is the largest relative error of one operation.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/reference.h"

namespace assay::backend::reference {

inline constexpr double kUnit = 0x1p-24;

/// A number, and how far its f32 form may be from it.
struct Bounded {
    double value = 0;
    double error = 0;
};
struct BoundedMatrix {
    Matrix values;
    Matrix errors;

    BoundedMatrix(std::int64_t rows, std::int64_t cols) : values(rows, cols), errors(rows, cols) {}
    void set(std::int64_t r, std::int64_t c, const Bounded& x) {
        values.at(r, c) = x.value;
        errors.at(r, c) = x.error;
    }
};

/// A function of one number, to four steps of its result; GELU rounded to half before and after.
Bounded apply(Activation activation, const Bounded& x);

/// One link: the operand, where it has one, is exact.
struct ChainLink {
    Link link;                  ///< kind, activation, a, b, tiled, previous
    Matrix view;                ///< [rows, n], or
    std::vector<float> vector;  ///< [n]
};
BoundedMatrix chain(const Matrix& x, const std::vector<ChainLink>& links, std::int64_t chunk_tokens);

struct Convolve {
    std::vector<float> weight;  ///< [cols, kernel]
    std::vector<float> bias;    ///< [cols] or empty
    std::int64_t kernel = 0;
    Activation activation = Activation::Identity;
    std::int64_t dilation = 1;
};
BoundedMatrix convolve(const Matrix& x, const Convolve& args, std::int64_t chunk_tokens);

struct Scan {
    ScanKind kind = ScanKind::Gated;
    std::int64_t n_heads = 0;
    std::int64_t n_key_heads = 0;
    std::int64_t key_dim = 0;
    std::int64_t value_dim = 0;
    bool interleaved = false;
    double scale = 1;
    Matrix q, k, v;
    Matrix decay;                       ///< no rows: constant
    std::vector<float> constant_decay;  ///< [n_heads]
    Matrix beta, a, b;
    std::vector<float> bonus;
};
BoundedMatrix scan(const Scan& args, std::int64_t chunk_tokens);

struct SelectiveScan {
    Matrix x, dt, b, c;
    std::vector<float> a;  ///< [channels, n_state]
    std::vector<float> d;
};
BoundedMatrix selective_scan(const SelectiveScan& args, std::int64_t chunk_tokens);

/// `before`: what is added to; no rows: nothing.
BoundedMatrix mix(const Matrix& x, const Matrix& coefficients, std::int64_t n_in, std::int64_t n_out,
                  const Matrix& before);
BoundedMatrix reduce(const Matrix& x, Reduction kind, std::int64_t n_slices);
BoundedMatrix softmax(const Matrix& x, std::int64_t n_slices);
BoundedMatrix sinkhorn(const Matrix& x, std::int64_t n, std::int64_t iterations, double eps);

}  // namespace assay::backend::reference
