// Scans: linear attention of each kind, and the selective scan.
#include <cmath>

#include "backend/mixers_case.h"
#include "core/error.h"

namespace assay::backend {
namespace {

using reference::Matrix;

using ScanTest = MixersCase;
INSTANTIATE_TEST_SUITE_P(Backends, ScanTest, testing::ValuesIn(all_cases()), name_of);

struct Heads {
    std::int64_t n_heads;
    std::int64_t n_key_heads;
    std::int64_t key_dim;
    std::int64_t value_dim;
};
/// Shared keys, one key component, each width of keys that has a kernel of its own, values of several blocks.
const std::vector<Heads> kHeads{{4, 2, 16, 24}, {1, 1, 1, 3},     {2, 2, 64, 64},
                                {4, 1, 96, 33}, {2, 1, 128, 160}, {1, 1, 256, 70}};

enum class Decay { Constant, ByHead, ByKey };

void normalise_heads(Matrix& m, std::int64_t dim, double length) {
    for (std::int64_t r = 0; r < m.rows; ++r)
        for (std::int64_t first = 0; first < m.cols; first += dim) {
            double squares = 0;
            for (std::int64_t c = first; c < first + dim; ++c) squares += m.at(r, c) * m.at(r, c);
            for (std::int64_t c = first; c < first + dim; ++c)
                m.at(r, c) =
                    static_cast<double>(static_cast<float>(m.at(r, c) * length / std::sqrt(squares)));
        }
}

TEST_P(ScanTest, CarriesAState) {
    for (const ScanKind kind : {ScanKind::Gated, ScanKind::Delta, ScanKind::Bonus, ScanKind::Rank1})
        for (const Decay decay : {Decay::Constant, Decay::ByHead, Decay::ByKey})
            for (const Heads& heads : kHeads)
                for (const Rows rows : {Rows{3, 1}, Rows{2, 37}}) {
                    SCOPED_TRACE(testing::Message()
                                 << "kind " << static_cast<int>(kind) << " decay " << static_cast<int>(decay)
                                 << ", " << heads.n_heads << " heads over " << heads.n_key_heads << " of "
                                 << heads.key_dim << " x " << heads.value_dim << ", " << rows.chunk_tokens
                                 << " tokens");
                    const std::int64_t n = rows.count();
                    const std::int64_t key_cols = heads.n_heads * heads.key_dim;
                    reference::Scan truth;
                    truth.kind = kind;
                    truth.n_heads = heads.n_heads;
                    truth.n_key_heads = heads.n_key_heads;
                    truth.key_dim = heads.key_dim;
                    truth.value_dim = heads.value_dim;
                    truth.interleaved = decay == Decay::ByHead;
                    truth.scale = 0.25;
                    truth.q = random(n, heads.n_key_heads * heads.key_dim, DType::F32);
                    truth.k = random(n, heads.n_key_heads * heads.key_dim, DType::F32);
                    truth.v = random(n, heads.n_heads * heads.value_dim, DType::F32);
                    // Keys of length 1 and what is taken from a state no longer keep it bounded.
                    normalise_heads(truth.k, heads.key_dim, 1);
                    ScanArgs args;
                    args.kind = kind;
                    if (decay == Decay::Constant) {
                        truth.constant_decay = floats_between(heads.n_heads, 0.7, 0.9);
                        args.constant_decay = kept(truth.constant_decay);
                    } else {
                        truth.decay = between(n, decay == Decay::ByHead ? heads.n_heads : key_cols, 0.7, 0.9);
                        args.decay = kept(truth.decay, 1);
                    }
                    if (kind == ScanKind::Delta) {
                        truth.beta = between(n, heads.n_heads, 0.1, 1);
                        args.beta = kept(truth.beta, 2);
                    }
                    if (kind == ScanKind::Rank1) {
                        truth.a = random(n, key_cols, DType::F32);
                        truth.b = random(n, key_cols, DType::F32);
                        normalise_heads(truth.a, heads.key_dim, 1);
                        normalise_heads(truth.b, heads.key_dim, 0.1);
                        args.a = kept(truth.a, 3);
                        args.b = kept(truth.b, 5);
                    }
                    if (kind == ScanKind::Bonus) {
                        truth.bonus = random_floats(key_cols);
                        args.bonus = kept(truth.bonus);
                    }
                    args.q = kept(truth.q, 3);
                    args.k = kept(truth.k, 4);
                    args.v = kept(truth.v, 7);
                    args.n_heads = heads.n_heads;
                    args.n_key_heads = heads.n_key_heads;
                    args.key_dim = heads.key_dim;
                    args.value_dim = heads.value_dim;
                    args.interleaved = truth.interleaved;
                    args.scale = 0.25f;
                    const auto part = [](View view, std::int64_t first, std::int64_t count) {
                        return view.present() ? view.row_range(first, count) : view;
                    };
                    const Matrix found = check_rows(
                        [&](Rows some, std::int64_t first, View out) {
                            ScanArgs these = args;
                            for (View* view : {&these.q, &these.k, &these.v, &these.decay, &these.beta,
                                               &these.a, &these.b})
                                *view = part(*view, first, some.count());
                            backend().scan(these, some, out);
                        },
                        rows, heads.n_heads * heads.value_dim);
                    expect_bounded(found, reference::scan(truth, rows.chunk_tokens));
                    if (HasFailure()) return;
                }
}

TEST_P(ScanTest, SelectsWhatItKeeps) {
    struct Shape {
        Rows rows;
        std::int64_t channels;
        std::int64_t n_state;
    };
    for (const Shape& shape : {Shape{{3, 1}, 5, 16},
                               {{2, 45}, 130, 16},
                               {{2, 20}, 33, 3},
                               {{1, 30}, 40, 64},
                               {{2, 19}, 70, 128},
                               {{1, 9}, 11, 250}}) {
        SCOPED_TRACE(testing::Message() << shape.channels << " channels of " << shape.n_state << " states");
        const std::int64_t n = shape.rows.count();
        reference::SelectiveScan truth;
        truth.x = random(n, shape.channels, DType::F32);
        truth.dt = between(n, shape.channels, 0.001, 0.5);
        truth.b = random(n, shape.n_state, DType::F32);
        truth.c = random(n, shape.n_state, DType::F32);
        truth.a = floats_between(shape.channels * shape.n_state, -16, -0.5);
        truth.d = random_floats(shape.channels);
        SelectiveScanArgs args;
        args.x = kept(truth.x, 3);
        args.dt = kept(truth.dt, 1);
        args.b = kept(truth.b, 2);
        args.c = kept(truth.c, 5);
        args.a = kept(truth.a);
        args.d = kept(truth.d);
        const Matrix found = check_rows(
            [&](Rows some, std::int64_t first, View out) {
                SelectiveScanArgs these = args;
                for (View* view : {&these.x, &these.dt, &these.b, &these.c})
                    *view = view->row_range(first, some.count());
                backend().selective_scan(these, some, out);
            },
            shape.rows, shape.channels);
        expect_bounded(found, reference::selective_scan(truth, shape.rows.chunk_tokens));
        if (HasFailure()) return;
    }
}

TEST(ScanThreads, LeaveTheSameBits) {
    constexpr std::int64_t kTokens = 12, kHeadCount = 3, kDim = 40;
    const auto scan = [&](Backend& backend, const auto& numbers, View out) {
        const auto view = [&](std::int64_t cols) {
            return View{const_cast<float*>(numbers(2 * kTokens * cols)), DType::F32, 2 * kTokens, cols, cols};
        };
        ScanArgs args;
        args.kind = ScanKind::Delta;
        args.q = view(kHeadCount * kDim);
        args.k = view(kHeadCount * kDim);
        args.v = view(kHeadCount * kDim);
        args.decay = view(kHeadCount);
        args.beta = view(kHeadCount);
        args.n_heads = args.n_key_heads = kHeadCount;
        args.key_dim = args.value_dim = kDim;
        backend.scan(args, {2, kTokens}, out);
    };
    const auto results = on_threads({1, 2, 3}, 2 * kTokens, kHeadCount * kDim, scan);
    EXPECT_EQ(results[1], results[0]);
    EXPECT_EQ(results[2], results[0]);
    EXPECT_FALSE(std::isnan(results[0].front()));
}

TEST_P(ScanTest, RefusesShapesThatDoNotFit) {
    const View rows = kept(Matrix(4, 8));
    ScanArgs args;
    args.q = args.k = args.v = rows;
    args.n_heads = args.n_key_heads = 2;
    args.key_dim = args.value_dim = 4;
    const auto message = [&] {
        try {
            backend().scan(args, {1, 4}, rows);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("nothing");
    };
    EXPECT_EQ(message(), "scan: there is no decay");
    args.decay = rows.col_range(0, 3);
    EXPECT_EQ(message(), "decay of a scan: [4, 3] was given, expected [4, 8]");
    args.decay = rows.col_range(0, 2);
    args.kind = ScanKind::Delta;
    EXPECT_EQ(message(), "beta of a scan: [0, 0] was given, expected [4, 2]");
    args.key_dim = 300;
    EXPECT_EQ(message(), "scan: 300 components of a key, possible are 1 to 256");
}

}  // namespace
}  // namespace assay::backend
