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
    bool own_queries = false;  ///< not beside keys and values
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
    const auto add = [&](std::int64_t tokens, const reference::Attention& args, auto change) {
        cases.push_back({{2, tokens}, args});
        change(cases.back().args);
    };
    using reference::Attention;
    const Attention plain{4, 2, 64, 64, 0.125, 0, 0, {}};
    for (const std::int64_t tokens : {1, 33, 300}) add(tokens, plain, [](Attention& a) { a.causal = false; });
    for (const WindowKind kind : {WindowKind::Sliding, WindowKind::Chunked, WindowKind::Symmetric})
        for (const std::int64_t window : {1, 2, 50, 130})
            for (const bool causal : {true, false})
                add(200, plain, [&](Attention& a) {
                    a.window_kind = kind;
                    a.window = window;
                    a.causal = causal;
                });
    const std::vector<float> sinks{-3, 0.5f, 2, 30};
    const std::vector<float> slopes{0.5f, 0.25f, 0.0625f, 0.00390625f};
    for (const bool causal : {true, false}) {
        add(200, plain, [&](Attention& a) { a.sinks = sinks, a.causal = causal; });
        add(200, plain, [&](Attention& a) { a.slopes = slopes, a.causal = causal; });
        add(200, plain, [&](Attention& a) {
            a.sinks = sinks, a.slopes = slopes, a.causal = causal;
            a.soft_cap = 5, a.window = 70;
        });
    }
    for (const std::int64_t dim : {80, 96, 112, 192, 256})
        cases.push_back({{2, 70}, {2, 1, dim, dim, 0.1, 0, 0, {}}});
    // Latent heads: many over one key head, longer than the tiles of tensor cores hold.
    add(70, {8, 1, 576, 512, 0.04, 0, 0, {}}, [](Attention&) {});
    add(150, {3, 1, 576, 512, 0.04, 0, 40, {}}, [](Attention& a) { a.sinks = {1, 2, 3}; });
    add(40, {5, 1, 300, 20, 0.06, 0, 0, {}}, [](Attention& a) { a.causal = false; });
    add(300, {4, 2, 512, 512, 0.04, 8, 0, {}}, [](Attention&) {});
    for (const bool causal : {true, false}) {
        add(300, {8, 1, 576, 512, 0.04, 0, 0, {}}, [&](Attention& a) { a.causal = causal; });
        cases.back().own_queries = true;
    }
    add(200, {4, 1, 512, 512, 0.04, 0, 150, {}}, [&](Attention& a) { a.sinks = sinks, a.slopes = slopes; });
    cases.back().own_queries = true;
    return cases;
}

TEST_P(AttentionTest, AgreesWithTheReference) {
    const DType type = backend().activation_dtype();
    const DType exact = backend().operand_dtype();  // so that rounding them for the products changes nothing
    for (const AttentionCase& c : attention_cases()) {
        const reference::Attention& a = c.args;
        SCOPED_TRACE(testing::Message()
                     << c.rows.chunk_tokens << " tokens, heads " << a.n_heads << "/" << a.n_kv_heads << " of "
                     << a.head_dim << " and " << a.value_dim << ", cap " << a.soft_cap << ", window "
                     << static_cast<int>(a.window_kind) << " of " << a.window << ", causal " << a.causal
                     << ", sinks " << a.sinks.size() << ", slopes " << a.slopes.size());
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
        const Stored own = store(part(0, q_cols), type);
        const auto kept = [&](const std::vector<float>& values) {
            return values.empty() ? nullptr : store(values);
        };
        const BufferPtr query_scale = kept(a.query_scale), sinks = kept(a.sinks), slopes = kept(a.slopes);
        const auto at = [](const BufferPtr& buffer) { return buffer ? buffer->f32() : nullptr; };
        const reference::Matrix y = check_produced(
            [&](Rows rows, std::int64_t first, const Produced& out) {
                const View view = device.view.row_range(first, rows.count());
                AttentionArgs args;
                args.q = c.own_queries ? own.view.row_range(first, rows.count()) : view.col_range(0, q_cols);
                args.k = view.col_range(q_cols, k_cols);
                args.v = view.col_range(q_cols + k_cols, v_cols);
                args.n_heads = a.n_heads;
                args.n_kv_heads = a.n_kv_heads;
                args.head_dim = a.head_dim;
                args.value_dim = a.value_dim;
                args.scale = static_cast<float>(a.scale);
                args.soft_cap = static_cast<float>(a.soft_cap);
                args.window = a.window;
                args.causal = a.causal;
                args.window_kind = a.window_kind;
                args.query_scale = at(query_scale);
                args.sinks = at(sinks);
                args.slopes = at(slopes);
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
