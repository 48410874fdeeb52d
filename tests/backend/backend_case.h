// One body for all backends: the fixture opens the backend and precision of the case and skips where the
// machine has neither. Helpers move matrices between host and backend.
#pragma once

#include <cstdint>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "backend/open.h"
#include "backend/reference.h"

namespace assay::backend {

struct Case {
    std::string device;
    Precision precision = Precision::F32;
};
std::string name_of(const testing::TestParamInfo<Case>& info);

/// cpu and cuda, f32 and bf16.
std::vector<Case> all_cases();

/// A matrix in backend memory and its owner.
struct Stored {
    BufferPtr buffer;
    View view;
};

/// What a producing operation left, on the host.
struct Left {
    std::vector<std::byte> operand;
    std::vector<float> plain;
    std::vector<float> squares;
    std::vector<float> sums;
};

class BackendTest : public testing::TestWithParam<Case> {
  protected:
    void SetUp() override;

    Backend& backend() { return *backend_; }
    bool f32() const { return GetParam().precision == Precision::F32; }
    /// The largest relative error of rounding to the type once.
    static double epsilon(DType dtype) { return dtype == DType::F32 ? 0x1p-24 : 0x1p-8; }
    double operand_epsilon() { return epsilon(backend().operand_dtype()); }
    double activation_epsilon() { return epsilon(backend().activation_dtype()); }

    /// Normal numbers, already rounded to dtype.
    reference::Matrix random(std::int64_t rows, std::int64_t cols, DType dtype, double deviation = 1);
    std::vector<float> random_floats(std::int64_t n, double deviation = 1, double mean = 0);

    /// Rows lie `padding` elements further apart than they are long.
    Stored store(const reference::Matrix& m, DType dtype, std::int64_t padding = 0);
    Stored blank(std::int64_t rows, std::int64_t cols, DType dtype);
    BufferPtr store(std::span<const float> values) { return backend().upload(values); }
    reference::Matrix fetch(const View& view);
    std::vector<std::byte> fetch_bytes(const View& view);
    MatrixPtr prepare(const reference::Matrix& w);
    /// The upper and the lower half of the rows as two stacked sources.
    MatrixPtr prepare_halves(const reference::Matrix& w);

    Norm stored(const reference::Norm& norm);

    using Operation = std::function<void(Rows rows, std::int64_t first_row, const Produced& out)>;
    /// Runs the operation for rows from `first_row` on and returns what it left: all of it, or the sums only.
    Left run(const Operation& operation, Rows rows, std::int64_t first_row, std::int64_t cols,
             bool sums_only = false);
    /// Operand and sums agree with the plain form, and all are the same bits whether the chunks come in one
    /// call, one by one, or with nothing but sums wanted; also where they are cut into unequal ones. Rows
    /// count in sums what they weigh. Returns the plain form.
    reference::Matrix check_produced(const Operation& operation, Rows rows, std::int64_t cols);
    /// Starts of the chunks cut in two, an empty one among them.
    static std::vector<std::int64_t> cut(Rows rows);

    std::mt19937 random_{20260823};

  private:
    /// What the chunks that begin so leave one by one.
    Left one_by_one(const Operation& operation, std::span<const std::int64_t> starts, std::int64_t cols);
    void check_weights(const Operation& operation, Rows rows, std::int64_t cols, const Left& unweighted);

    std::unique_ptr<ThreadPool> pool_;
    std::unique_ptr<Backend> backend_;
    std::vector<BufferPtr> kept_;
};

/// Each |a - b| at most tolerance(r, c).
void expect_near(const reference::Matrix& a, const reference::Matrix& b,
                 const std::function<double(std::int64_t, std::int64_t)>& tolerance);

}  // namespace assay::backend
