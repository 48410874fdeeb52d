// Norms and rotation of heads, and copies of some of their columns.
#include <cmath>

#include "backend/backend_case.h"
#include "core/error.h"

namespace assay::backend {
namespace {

using reference::Matrix;

using HeadsTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, HeadsTest, testing::ValuesIn(all_cases()), name_of);

struct HeadsCase {
    std::int64_t n_heads;
    std::int64_t head_dim;
    std::int64_t first;
    std::int64_t n_rot;
    std::int64_t chunk_tokens = 100;
};
constexpr HeadsCase kCases[]{{4, 64, 0, 64},       {3, 128, 0, 128},    {2, 80, 0, 20},
                             {2, 256, 0, 64},      {2, 6, 0, 0},        {3, 192, 128, 64},
                             {2, 33, 8, 10},       {2, 40, 5, 16},      {1, 576, 512, 64, 20},
                             {2, 640, 0, 512, 20}, {1, 5000, 0, 0, 10}, {1, 16384, 0, 0, 2}};

struct Variation {
    NormKind kind;
    bool repeats;
    bool norm_last;
    bool backwards;
};
constexpr Variation kVariations[]{{NormKind::None, false, false, false}, {NormKind::None, false, false, true},
                                  {NormKind::Rms, true, false, false},   {NormKind::Rms, false, true, false},
                                  {NormKind::Layer, false, false, true}, {NormKind::L2, true, true, false},
                                  {NormKind::L2Max, true, false, false}};

TEST_P(HeadsTest, NormalisesAndTurns) {
    for (const HeadsCase& c : kCases)
        for (const Variation& v : kVariations)
            for (const Pairing pairing : {Pairing::Adjacent, Pairing::Halves})
                for (const DType dtype : {backend().activation_dtype(), DType::F32}) {
                    SCOPED_TRACE(testing::Message()
                                 << c.n_heads << " heads of " << c.head_dim << ", " << c.n_rot << " from "
                                 << c.first << " turned " << (v.backwards ? "back" : "on") << ", pairing "
                                 << static_cast<int>(pairing) << ", norm " << static_cast<int>(v.kind)
                                 << (v.norm_last ? " last" : " first"));
                    if (pairing == Pairing::Halves && c.n_rot == 0) continue;
                    const Rows rows{2, c.chunk_tokens};
                    const std::int64_t cols = c.n_heads * c.head_dim;
                    const Matrix x = random(rows.count(), cols + 16, dtype);
                    reference::Norm norm{v.kind,    random_floats(v.repeats ? c.head_dim : cols, 0.3, 1),
                                         {},        1e-6,
                                         c.n_heads, v.repeats};
                    if (v.kind == NormKind::Layer) norm.bias = random_floats(cols);
                    if (v.kind == NormKind::None) norm.weight.clear();
                    reference::Rope rope{pairing, {}, 1.25, c.first, v.backwards};
                    for (std::int64_t p = 0; p < c.n_rot / 2; ++p)
                        rope.frequencies.push_back(
                            std::pow(10000.0f, -2.0f * static_cast<float>(p) / static_cast<float>(c.n_rot)));
                    const Stored all = store(x, dtype);
                    const BufferPtr frequencies = store(rope.frequencies);
                    const Rope device_rope{pairing, frequencies->f32(), c.n_rot, 1.25f, c.first, v.backwards};
                    const auto turn_rows = [&](const View& view, Rows some) {
                        backend().rotate_heads(view.col_range(8, cols), c.n_heads, stored(norm), v.norm_last,
                                               device_rope, some);
                    };
                    turn_rows(all.view, rows);
                    const std::vector<std::int64_t> starts = cut(rows);
                    const RowTablePtr table = backend().lay_out(starts, {});
                    const Stored unequal = store(x, dtype), alone = store(x, dtype);
                    turn_rows(unequal.view, Rows::of(*table));
                    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
                        const std::int64_t n = starts[i + 1] - starts[i];
                        if (n > 0) turn_rows(alone.view.row_range(starts[i], n), {1, n});
                    }
                    ASSERT_TRUE(fetch_bytes(unequal.view) == fetch_bytes(alone.view));
                    Matrix before(rows.count(), cols);
                    Matrix turned(rows.count(), cols);
                    const Matrix after = fetch(all.view);
                    for (std::int64_t r = 0; r < x.rows; ++r)
                        for (std::int64_t col = 0; col < x.cols; ++col) {
                            if (col < 8 || col >= 8 + cols) {
                                ASSERT_EQ(after.at(r, col), x.at(r, col)) << "a neighbour was written";
                                continue;
                            }
                            before.at(r, col - 8) = x.at(r, col);
                            turned.at(r, col - 8) = after.at(r, col);
                        }
                    const Matrix truth = reference::rotate_heads(before, c.n_heads, norm, v.norm_last, rope,
                                                                 rows.chunk_tokens);
                    // An angle is a position times a frequency, each exact to an f32 step; a pair is of size
                    // about 5. A long head that is turned and normalised may be rounded between the two.
                    const double turn =
                        c.n_rot == 0 ? 0 : static_cast<double>(rows.chunk_tokens) * 0x1p-23 * 5;
                    const bool twice = c.head_dim > 512 && v.kind != NormKind::None && c.n_rot > 0;
                    const double between = twice ? 8 * epsilon(dtype) : 0;
                    const double steps = static_cast<double>(c.head_dim + 64) * 0x1p-24;
                    const double mean = v.kind == NormKind::Layer ? 5 * steps : 0;
                    expect_near(turned, truth, [&](auto r, auto col) {
                        return turn + between + mean +
                               (epsilon(dtype) + steps) * std::abs(truth.at(r, col)) * 1.01 + 1e-5;
                    });
                    if (HasFailure()) return;
                }
}

TEST_P(HeadsTest, CopiesSomeColumns) {
    const DType activation = backend().activation_dtype();
    struct Part {
        std::int64_t n_heads, head_dim, first, count;
        std::int64_t out_dim, out_first;
        bool spread = false;
    };
    for (const auto& [from, to] : {std::pair{DType::F32, DType::F32},
                                   {activation, activation},
                                   {DType::F32, activation},
                                   {activation, DType::F32}})
        for (const Part& p : {Part{4, 128, 0, 64, 64, 0},
                              {4, 128, 64, 64, 64, 0},
                              {3, 7, 2, 3, 3, 0},
                              {2, 576, 512, 64, 64, 0},
                              {1, 300, 0, 300, 300, 0},
                              {4, 128, 0, 64, 96, 32},
                              {3, 9, 2, 3, 11, 5},
                              {4, 64, 0, 64, 192, 128, true},
                              {5, 8, 3, 4, 6, 1, true}}) {
            const Matrix x = random(70, (p.spread ? 1 : p.n_heads) * p.head_dim, from);
            const Stored input = store(x, from, 3);
            const std::int64_t cols = p.n_heads * p.out_dim;
            const Matrix before = random(70, cols + 4, to);
            const Stored all = store(before, to);
            backend().copy_heads(input.view, {p.n_heads, p.first, p.count, p.out_first, p.spread},
                                 all.view.col_range(2, cols));
            const Matrix after = fetch(all.view);
            for (std::int64_t r = 0; r < 70; ++r)
                for (std::int64_t c = 0; c < cols + 4; ++c) {
                    const std::int64_t own = c - 2;
                    const std::int64_t copied = own % p.out_dim - p.out_first;
                    if (own < 0 || own >= cols || copied < 0 || copied >= p.count) {
                        ASSERT_EQ(after.at(r, c), before.at(r, c)) << "a neighbour was written";
                        continue;
                    }
                    const std::int64_t head = p.spread ? 0 : own / p.out_dim;
                    const double value = x.at(r, head * p.head_dim + p.first + copied);
                    const double allowed = from == to ? 0 : epsilon(to) * 1.01 * std::abs(value);
                    ASSERT_NEAR(after.at(r, c), value, allowed);
                }
        }
}

TEST_P(HeadsTest, RefusesWhatDoesNotFit) {
    const Stored x = blank(4, 12, DType::F32);
    const Stored out = blank(4, 6, DType::F32);
    const auto sentence = [](auto call) -> std::string {
        try {
            call();
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    };
    Rope rope;
    rope.n_rot = 4;
    rope.first = 2;
    EXPECT_EQ(sentence([&] {
                  backend().rotate_heads(x.view, 3, {}, false, rope, {1, 4});
              }),
              "heads: 4 components from 2 on cannot turn in a head of 4");
    EXPECT_EQ(sentence([&] {
                  backend().rotate_heads(x.view, 5, {}, false, {}, {1, 4});
              }),
              "heads: 12 columns in 5 heads");
    EXPECT_EQ(sentence([&] {
                  backend().copy_heads(x.view, {3, 3, 2}, out.view);
              }),
              "heads: 2 columns from 3 on of 3 heads of [4, 12] into those from 0 on of [4, 6]");
    EXPECT_EQ(sentence([&] {
                  backend().copy_heads(x.view, {3, 0, 2, 1}, out.view);
              }),
              "heads: 2 columns from 0 on of 3 heads of [4, 12] into those from 1 on of [4, 6]");
}

}  // namespace
}  // namespace assay::backend
