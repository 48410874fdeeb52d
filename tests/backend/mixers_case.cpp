#include "backend/mixers_case.h"

#include <cmath>
#include <cstring>

namespace assay::backend {

namespace {
constexpr std::int64_t kBefore = 3;  ///< columns beside the result
constexpr std::int64_t kBehind = 2;
}  // namespace

reference::Matrix MixersCase::check_rows(const RowsOperation& operation, Rows rows, std::int64_t cols) {
    const Stored whole = blank(rows.count(), kBefore + cols + kBehind, DType::F32);
    operation(rows, 0, whole.view.col_range(kBefore, cols));
    const Stored parts = blank(rows.count(), kBefore + cols + kBehind, DType::F32);
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk) {
        const std::int64_t first = chunk * rows.chunk_tokens;
        operation({1, rows.chunk_tokens}, first,
                  parts.view.row_range(first, rows.chunk_tokens).col_range(kBefore, cols));
    }
    EXPECT_TRUE(fetch_bytes(whole.view) == fetch_bytes(parts.view)) << "rows depend on the call";
    const std::vector<std::int64_t> starts = cut(rows);
    const RowTablePtr table = backend().lay_out(starts, {});
    const Stored unequal = blank(rows.count(), kBefore + cols + kBehind, DType::F32);
    operation(Rows::of(*table), 0, unequal.view.col_range(kBefore, cols));
    const Stored alone = blank(rows.count(), kBefore + cols + kBehind, DType::F32);
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
        const std::int64_t n = starts[i + 1] - starts[i];
        if (n > 0) operation({1, n}, starts[i], alone.view.row_range(starts[i], n).col_range(kBefore, cols));
    }
    EXPECT_TRUE(fetch_bytes(unequal.view) == fetch_bytes(alone.view)) << "chunks of unequal length";
    const Stored behind = blank(rows.count(), kBefore + cols + kBehind, DType::F32);
    const Rows all_rows = Rows::of(*table);
    for (const auto& [chunk, n] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {1, all_rows.n_chunks - 1}}) {
        const Rows some = all_rows.range(chunk, n);
        const std::int64_t first = all_rows.first_row(chunk);
        operation(some, first, behind.view.row_range(first, some.count()).col_range(kBefore, cols));
    }
    EXPECT_TRUE(fetch_bytes(behind.view) == fetch_bytes(alone.view)) << "some of a table's chunks";
    const reference::Matrix all = fetch(whole.view);
    reference::Matrix inner(rows.count(), cols);
    for (std::int64_t r = 0; r < all.rows; ++r)
        for (std::int64_t c = 0; c < all.cols; ++c) {
            if (c >= kBefore && c < kBefore + cols)
                inner.at(r, c - kBefore) = all.at(r, c);
            else
                EXPECT_TRUE(std::isnan(all.at(r, c))) << "a neighbour was written";
        }
    return inner;
}

reference::Matrix MixersCase::between(std::int64_t rows, std::int64_t cols, double low, double high) {
    std::uniform_real_distribution<double> uniform(low, high);
    reference::Matrix m(rows, cols);
    for (double& v : m.values) v = static_cast<double>(static_cast<float>(uniform(random_)));
    return m;
}

std::vector<float> MixersCase::floats_between(std::int64_t n, double low, double high) {
    const reference::Matrix m = between(1, n, low, high);
    return {m.values.begin(), m.values.end()};
}

View MixersCase::kept(const reference::Matrix& m, std::int64_t padding, DType dtype) {
    Stored stored = store(m, dtype, padding);
    memory_.push_back(std::move(stored.buffer));
    return stored.view;
}

const float* MixersCase::kept(const std::vector<float>& values) {
    memory_.push_back(store(values));
    return memory_.back()->f32();
}

std::vector<std::vector<float>> on_threads(
    const std::vector<int>& n_threads, std::int64_t rows, std::int64_t cols,
    const std::function<void(Backend& backend, const std::function<const float*(std::int64_t n)>& numbers,
                             View out)>& operation) {
    std::vector<std::vector<float>> results;
    for (const int n : n_threads) {
        ThreadPool pool(n);
        OpenOptions options;
        options.device = "cpu";
        options.chunk_tokens = 128;
        const std::unique_ptr<Backend> backend = open(options, pool);
        std::vector<BufferPtr> memory;
        std::mt19937 random(7);
        std::uniform_real_distribution<float> uniform(0.1f, 0.3f);
        const auto numbers = [&](std::int64_t count) {
            std::vector<float> values(static_cast<std::size_t>(count));
            for (float& v : values) v = uniform(random);
            memory.push_back(backend->upload(values));
            return static_cast<const float*>(memory.back()->f32());
        };
        std::vector<float> out(static_cast<std::size_t>(rows * cols), NAN);
        operation(*backend, numbers, {out.data(), DType::F32, rows, cols, cols});
        results.push_back(std::move(out));
    }
    return results;
}

}  // namespace assay::backend
