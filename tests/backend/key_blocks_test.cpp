// Keys of whole blocks, an indexer's choice, and attention over both.
#include <algorithm>
#include <cmath>

#include "backend/mixers_case.h"

namespace assay::backend {
namespace {

using reference::Matrix;

using KeyBlocksTest = MixersCase;
INSTANTIATE_TEST_SUITE_P(Backends, KeyBlocksTest, testing::ValuesIn(all_cases()), name_of);

constexpr double kStep = 1.2e-7;  // of f32, twice its rounding

TEST_P(KeyBlocksTest, PoolsBlocks) {
    struct Shape {
        Rows rows;
        std::int64_t cols, block;
        bool overlapping, gate, bias;
    };
    for (const Shape& shape :
         {Shape{{2, 20}, 70, 4, false, true, true}, Shape{{2, 23}, 33, 4, true, true, true},
          Shape{{2, 9}, 300, 3, false, false, false}, Shape{{1, 130}, 17, 128, false, true, true},
          Shape{{3, 3}, 5, 4, true, true, false}}) {
        SCOPED_TRACE(testing::Message() << shape.block << " tokens, " << shape.cols << " columns");
        const std::int64_t cols = shape.overlapping ? 2 * shape.cols : shape.cols;
        const Matrix x = random(shape.rows.count(), cols, DType::F32);
        const Matrix gate = random(shape.rows.count(), cols, DType::F32);
        const std::vector<float> bias = floats_between(shape.block * cols, -1, 1);
        const View x_view = kept(x, 3), gate_view = kept(gate, 1);
        const float* bias_memory = kept(bias);
        const Matrix found = check_rows(
            [&](Rows some, std::int64_t first, View out) {
                PoolArgs args;
                args.x = x_view.row_range(first, some.count());
                if (shape.gate) args.gate = gate_view.row_range(first, some.count());
                if (shape.bias) args.bias = bias_memory;
                args.block_tokens = shape.block;
                args.overlapping = shape.overlapping;
                backend().pool(args, some, out);
            },
            shape.rows, shape.cols);
        for (std::int64_t row = 0; row < found.rows; ++row) {
            const std::int64_t position = row % shape.rows.chunk_tokens;
            const bool whole =
                position % shape.block == 0 && position + shape.block <= shape.rows.chunk_tokens;
            for (std::int64_t c = 0; c < shape.cols; ++c) {
                double sum = 0, total = 0, magnitude = 0;
                const auto add = [&](std::int64_t r, std::int64_t col) {
                    const std::int64_t place = r % shape.rows.chunk_tokens % shape.block;
                    const double score =
                        (shape.gate ? gate.at(r, col) : 0) +
                        (shape.bias ? static_cast<double>(bias[static_cast<std::size_t>(place * cols + col)])
                                    : 0);
                    sum += std::exp(score);
                    total += std::exp(score) * x.at(r, col);
                    magnitude += std::exp(score) * std::abs(x.at(r, col));
                };
                for (std::int64_t i = 0; whole && i < shape.block; ++i) {
                    if (shape.overlapping && position >= shape.block) add(row - shape.block + i, c);
                    add(row + i, shape.overlapping ? shape.cols + c : c);
                }
                // Each weight is off by the steps of its exponent (below 8) and of exp, each sum by its
                // terms'.
                const double steps = 12 + 2 * static_cast<double>(shape.block);
                const double expected = whole ? total / sum : 0;
                EXPECT_NEAR(found.at(row, c), expected, whole ? steps * kStep * magnitude / sum : 0);
            }
        }
        if (HasFailure()) return;
    }
}

/// sum_h weight_h max(0, q_h . k) of a query's row and a key's.
double score(const Matrix& q, const Matrix& k, const Matrix* weights, std::int64_t row, std::int64_t key) {
    double total = 0;
    for (std::int64_t head = 0; head < q.cols / k.cols; ++head) {
        double dot = 0;
        for (std::int64_t c = 0; c < k.cols; ++c) dot += q.at(row, head * k.cols + c) * k.at(key, c);
        total += (weights != nullptr ? weights->at(row, head) : 1) * std::max(dot, 0.0);
    }
    return total;
}

TEST_P(KeyBlocksTest, ChoosesTheBestBlocks) {
    struct Shape {
        Rows rows;
        std::int64_t n_heads, dim, block, n_chosen;
        bool weights, tail;
    };
    for (const Shape& shape :
         {Shape{{2, 90}, 16, 64, 1, 20, true, false}, Shape{{2, 90}, 4, 33, 4, 6, true, true},
          Shape{{2, 130}, 5, 128, 4, 7, false, false}, Shape{{1, 700}, 3, 16, 1, 300, true, false},
          Shape{{2, 3}, 2, 8, 4, 1, true, true}}) {
        SCOPED_TRACE(testing::Message() << shape.n_chosen << " blocks of " << shape.block << " tokens");
        const std::int64_t n = shape.rows.chunk_tokens, n_blocks = (n + shape.block - 1) / shape.block;
        const Matrix q = random(shape.rows.count(), shape.n_heads * shape.dim, DType::F32);
        const Matrix k = random(shape.rows.count(), shape.dim, DType::F32);
        const Matrix weights = random(shape.rows.count(), shape.n_heads, DType::F32);
        const View q_view = kept(q, 1), k_view = kept(k, 2), weights_view = kept(weights, 3);
        const Matrix found = check_rows(
            [&](Rows some, std::int64_t first, View out) {
                SelectArgs args;
                args.q = q_view.row_range(first, some.count());
                args.k = k_view.row_range(first, some.count());
                if (shape.weights) args.weights = weights_view.row_range(first, some.count());
                args.n_heads = shape.n_heads;
                args.block_tokens = shape.block;
                args.n_chosen = shape.n_chosen;
                args.tail = shape.tail;
                backend().select(args, some, out);
            },
            shape.rows, n_blocks);
        for (std::int64_t row = 0; row < found.rows; ++row) {
            const std::int64_t position = row % n, complete = (position + 1) / shape.block;
            double least = INFINITY, most = -INFINITY;
            std::int64_t count = 0;
            for (std::int64_t j = 0; j < n_blocks; ++j) {
                const bool chosen = found.at(row, j) == 1;
                EXPECT_TRUE(chosen || found.at(row, j) == 0);
                if (j >= complete) {
                    EXPECT_EQ(chosen, shape.tail && j == complete && j * shape.block <= position);
                    continue;
                }
                count += chosen ? 1 : 0;
                const double s =
                    score(q, k, shape.weights ? &weights : nullptr, row, row - position + j * shape.block);
                if (chosen)
                    least = std::min(least, s);
                else
                    most = std::max(most, s);
            }
            EXPECT_EQ(count, std::min(complete, shape.n_chosen)) << "row " << row;
            // Scores are sums of n_heads * dim terms below 4.
            const double error = 4 * static_cast<double>(shape.n_heads * shape.dim) * kStep;
            EXPECT_LE(most, least + error) << "row " << row;
        }
        if (HasFailure()) return;
    }
}

TEST_P(KeyBlocksTest, ChoosesTheEarliestOfEquals) {
    const Rows rows{1, 12};
    const Matrix q(rows.count(), 8), k(rows.count(), 4);
    const View q_view = kept(q, 1), k_view = kept(k, 1);
    const Matrix found = check_rows(
        [&](Rows some, std::int64_t first, View out) {
            SelectArgs args;
            args.q = q_view.row_range(first, some.count());
            args.k = k_view.row_range(first, some.count());
            args.n_heads = 2;
            args.n_chosen = 3;
            backend().select(args, some, out);
        },
        rows, rows.chunk_tokens);
    for (std::int64_t row = 0; row < found.rows; ++row)
        for (std::int64_t j = 0; j < found.cols; ++j)
            EXPECT_EQ(found.at(row, j), j <= row && j < 3 ? 1 : 0) << row << ", " << j;
}

TEST_P(KeyBlocksTest, AttendsToWhatIsChosen) {
    struct Shape {
        Rows rows;
        std::int64_t n_heads, n_kv_heads, dim, value_dim, window, run;
        bool blocks, chosen, sinks;
    };
    const DType type = backend().activation_dtype(), exact = backend().operand_dtype();
    for (const Shape& shape : {Shape{{2, 70}, 4, 2, 64, 48, 0, 1, false, true, false},
                               Shape{{2, 150}, 3, 1, 80, 80, 0, 4, false, true, true},
                               Shape{{2, 131}, 4, 1, 128, 128, 32, 4, true, true, true},
                               Shape{{2, 131}, 2, 1, 64, 64, 16, 16, true, false, false},
                               Shape{{1, 40}, 5, 1, 576, 512, 0, 1, false, true, false}}) {
        SCOPED_TRACE(testing::Message() << shape.rows.chunk_tokens << " tokens in runs of " << shape.run
                                        << (shape.blocks ? ", with keys of blocks" : ""));
        const std::int64_t n = shape.rows.count(), tokens = shape.rows.chunk_tokens;
        const std::int64_t n_runs = (tokens + shape.run - 1) / shape.run;
        const Matrix q = random(n, shape.n_heads * shape.dim, exact);
        const Matrix k = random(n, shape.n_kv_heads * shape.dim, exact);
        const Matrix v = random(n, shape.n_kv_heads * shape.value_dim, exact);
        const Matrix block_k = random(n, k.cols, exact), block_v = random(n, v.cols, exact);
        Matrix chosen = between(n, n_runs, 0, 1);
        for (double& c : chosen.values) c = c < 0.4 ? 1 : 0;
        for (std::int64_t row = 0; row < n; ++row) chosen.at(row, row % tokens / shape.run) = 1;  // itself
        const std::vector<float> sinks = floats_between(shape.n_heads, -1, 1);
        const View q_view = kept(q, 0, type), k_view = kept(k, 0, type), v_view = kept(v, 0, type),
                   block_k_view = kept(block_k, 0, type), block_v_view = kept(block_v, 0, type),
                   chosen_view = kept(chosen, 2);
        const float* sinks_memory = kept(sinks);
        const double scale = 1 / std::sqrt(static_cast<double>(shape.dim));
        const Matrix found = check_rows(
            [&](Rows some, std::int64_t first, View out) {
                AttentionArgs args;
                args.q = q_view.row_range(first, some.count());
                args.k = k_view.row_range(first, some.count());
                args.v = v_view.row_range(first, some.count());
                args.n_heads = shape.n_heads;
                args.n_kv_heads = shape.n_kv_heads;
                args.head_dim = shape.dim;
                args.value_dim = shape.value_dim;
                args.scale = static_cast<float>(scale);
                args.window = shape.window;
                if (shape.sinks) args.sinks = sinks_memory;
                if (shape.blocks) {
                    args.block_k = block_k_view.row_range(first, some.count());
                    args.block_v = block_v_view.row_range(first, some.count());
                    args.block_tokens = shape.run;
                }
                if (shape.chosen) args.chosen = chosen_view.row_range(first, some.count());
                args.chosen_tokens = shape.run;
                Produced produced;
                produced.plain = out;
                backend().attention(args, some, produced);
            },
            shape.rows, shape.n_heads * shape.value_dim);
        for (std::int64_t row = 0; row < n; ++row) {
            const std::int64_t position = row % tokens, base = row - position;
            const auto picked = [&](std::int64_t run) { return !shape.chosen || chosen.at(row, run) == 1; };
            for (std::int64_t head = 0; head < shape.n_heads; ++head) {
                const std::int64_t kv = head / (shape.n_heads / shape.n_kv_heads);
                double sum =
                    shape.sinks ? std::exp(static_cast<double>(sinks[static_cast<std::size_t>(head)])) : 0;
                std::vector<double> total(static_cast<std::size_t>(shape.value_dim)), magnitude(total.size());
                const auto add = [&](const Matrix& keys, const Matrix& values, std::int64_t at) {
                    double dot = 0;
                    for (std::int64_t c = 0; c < shape.dim; ++c)
                        dot += q.at(row, head * shape.dim + c) * keys.at(at, kv * shape.dim + c);
                    const double weight = std::exp(dot * scale);
                    sum += weight;
                    for (std::int64_t c = 0; c < shape.value_dim; ++c) {
                        const double value = weight * values.at(at, kv * shape.value_dim + c);
                        total[static_cast<std::size_t>(c)] += value;
                        magnitude[static_cast<std::size_t>(c)] += std::abs(value);
                    }
                };
                for (std::int64_t key = 0; key <= position; ++key)
                    if ((shape.window == 0 || position - key < shape.window) &&
                        (shape.blocks || picked(key / shape.run)))
                        add(k, v, base + key);
                for (std::int64_t j = 0; shape.blocks && (j + 1) * shape.run <= position + 1; ++j)
                    if (picked(j)) add(block_k, block_v, base + j * shape.run);
                // As in AttentionTest: probabilities may be rounded to the operand's type, and scores are off
                // by head_dim f32 steps.
                const double rounding = exact == DType::Bf16 ? 1.0 / 128 : 0;
                const double error = rounding + kStep * (static_cast<double>(shape.dim) + 60);
                for (std::int64_t c = 0; c < shape.value_dim; ++c) {
                    const auto i = static_cast<std::size_t>(c);
                    EXPECT_NEAR(found.at(row, head * shape.value_dim + c), total[i] / sum,
                                error * magnitude[i] / sum + 1e-7);
                }
            }
        }
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace assay::backend
