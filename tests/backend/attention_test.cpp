// Attention within chunks.
#include <cmath>

#include "backend/backend_case.h"

namespace assay::backend {
namespace {

using AttentionTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, AttentionTest, testing::ValuesIn(all_cases()), name_of);

struct AttentionCase {
    Rows rows;
    reference::Attention args;
};

std::vector<AttentionCase> attention_cases() {
    std::vector<AttentionCase> cases;
    // heads, key heads, head_dim, value_dim, scale, soft cap, window
    for (const std::int64_t tokens : {1, 16, 100, 128, 300})
        cases.push_back({{2, tokens}, {4, 2, 64, 64, 0.125, 0, 0, {}}});
    cases.push_back({{1, 512}, {2, 1, 128, 128, 0.09, 0, 0, {}}});
    cases.push_back({{2, 200}, {2, 2, 256, 256, 0.0625, 0, 0, {}}});
    cases.push_back({{2, 150}, {3, 1, 80, 80, 0.11, 0, 0, {}}});
    cases.push_back({{2, 70}, {2, 1, 192, 128, 0.07, 0, 0, {}}});
    cases.push_back({{2, 70}, {2, 2, 20, 36, 0.2, 0, 0, {}}});
    cases.push_back({{2, 200}, {2, 1, 64, 64, 0.125, 5, 0, {}}});
    cases.push_back({{2, 300}, {2, 1, 64, 64, 0.125, 0, 1, {}}});
    cases.push_back({{2, 300}, {2, 1, 64, 64, 0.125, 0, 40, {}}});
    cases.push_back({{2, 300}, {2, 1, 128, 128, 0.09, 20, 130, {}}});
    AttentionCase scaled{{2, 90}, {2, 1, 64, 64, 0.125, 0, 0, {}}};
    for (int p = 0; p < 90; ++p) scaled.args.query_scale.push_back(1.0f + 0.1f * static_cast<float>(p / 16));
    cases.push_back(scaled);
    return cases;
}

TEST_P(AttentionTest, AgreesWithTheReference) {
    const DType type = backend().activation_dtype();
    const DType exact = backend().operand_dtype();  // so that rounding them for the products changes nothing
    for (const AttentionCase& c : attention_cases()) {
        const reference::Attention& a = c.args;
        SCOPED_TRACE(testing::Message() << c.rows.chunk_tokens << " tokens, heads " << a.n_heads << "/"
                                        << a.n_kv_heads << " of " << a.head_dim << " and " << a.value_dim
                                        << ", cap " << a.soft_cap << ", window " << a.window);
        // Queries, keys and values side by side, as one product leaves them.
        const std::int64_t q_cols = a.n_heads * a.head_dim;
        const std::int64_t k_cols = a.n_kv_heads * a.head_dim;
        const std::int64_t v_cols = a.n_kv_heads * a.value_dim;
        const reference::Matrix all = random(c.rows.count(), q_cols + k_cols + v_cols, exact);
        const auto part = [&](std::int64_t first, std::int64_t cols) {
            reference::Matrix m(all.rows, cols);
            for (std::int64_t r = 0; r < m.rows; ++r)
                for (std::int64_t col = 0; col < cols; ++col) m.at(r, col) = all.at(r, first + col);
            return m;
        };
        const Stored device = store(all, type);
        const BufferPtr query_scale = a.query_scale.empty() ? nullptr : store(a.query_scale);
        const reference::Matrix y = check_produced(
            [&](Rows rows, std::int64_t first, const Produced& out) {
                const View view = device.view.row_range(first, rows.count());
                AttentionArgs args;
                args.q = view.col_range(0, q_cols);
                args.k = view.col_range(q_cols, k_cols);
                args.v = view.col_range(q_cols + k_cols, v_cols);
                args.n_heads = a.n_heads;
                args.n_kv_heads = a.n_kv_heads;
                args.head_dim = a.head_dim;
                args.value_dim = a.value_dim;
                args.scale = static_cast<float>(a.scale);
                args.soft_cap = static_cast<float>(a.soft_cap);
                args.window = a.window;
                args.query_scale = query_scale != nullptr ? query_scale->f32() : nullptr;
                backend().attention(args, rows, out);
            },
            c.rows, a.n_heads * a.value_dim);
        const reference::AttentionResult truth = reference::attention(
            part(0, q_cols), part(q_cols, k_cols), part(q_cols + k_cols, v_cols), a, c.rows.chunk_tokens);
        // Probabilities may be rounded to the operand's type. A score is a dot product of head_dim terms of
        // order one times the scale, off by that many f32 steps, and so is the exponential of it.
        const double score_error =
            static_cast<double>(a.head_dim) * 0x1p-22 * std::max(1.0, a.scale * 30) + 512 * 0x1p-24;
        expect_near(y, truth.out, [&](auto r, auto col) {
            return (1.01 * operand_epsilon() + 2 * score_error) * truth.magnitudes.at(r, col) + 1e-7;
        });
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace assay::backend
