// What the tests of row operations of mixers share: results are f32 rows, written between neighbours that
// stay as they are.
#pragma once

#include <functional>

#include "backend/backend_case.h"
#include "backend/reference_mixers.h"

namespace assay::backend {

class MixersCase : public BackendTest {
  protected:
    using RowsOperation = std::function<void(Rows rows, std::int64_t first_row, View out)>;

    /// What the operation leaves of `cols` columns. The bits are the same whether the chunks come in one call
    /// or one by one, also where they are cut into unequal ones, and what lies beside the rows keeps its NaN.
    reference::Matrix check_rows(const RowsOperation& operation, Rows rows, std::int64_t cols);

    static void expect_bounded(const reference::Matrix& found, const reference::BoundedMatrix& truth) {
        expect_near(found, truth.values, [&](auto r, auto c) { return truth.errors.at(r, c); });
    }

    /// Numbers between `low` and `high`.
    reference::Matrix between(std::int64_t rows, std::int64_t cols, double low, double high);
    std::vector<float> floats_between(std::int64_t n, double low, double high);

    /// Kept as long as the test.
    View kept(const reference::Matrix& m, std::int64_t padding = 0, DType dtype = DType::F32);
    const float* kept(const std::vector<float>& values);

  private:
    std::vector<BufferPtr> memory_;
};

/// The same operation on processors with any number of threads: the bits of what each leaves.
std::vector<std::vector<float>> on_threads(
    const std::vector<int>& n_threads, std::int64_t rows, std::int64_t cols,
    const std::function<void(Backend& backend, const std::function<const float*(std::int64_t n)>& numbers,
                             View out)>& operation);

}  // namespace assay::backend
