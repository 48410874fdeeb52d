// Chains: every function and link, every way an operand spreads, and what leaves as the input of products.
#include <cmath>

#include "backend/mixers_case.h"
#include "core/error.h"

namespace assay::backend {
namespace {

using reference::ChainLink;
using reference::Matrix;

constexpr Activation kAll[] = {Activation::Identity,  Activation::Silu,
                               Activation::Gelu,      Activation::Relu,
                               Activation::Relu2,     Activation::Sigmoid,
                               Activation::Tanh,      Activation::Exp,
                               Activation::Softplus,  Activation::Log2OnePlusExp2,
                               Activation::SignedRoot};

ChainLink number(LinkKind kind, float a, float b) {
    ChainLink l;
    l.link.kind = kind;
    l.link.a = a;
    l.link.b = b;
    return l;
}

ChainLink function(Activation activation) {
    ChainLink l;
    l.link.activation = activation;
    return l;
}

struct Place {
    bool tiled = false;
    bool previous = false;
};

ChainLink with(LinkKind kind, Matrix view, Place place = {}) {
    ChainLink l;
    l.link.kind = kind;
    l.link.tiled = place.tiled;
    l.link.previous = place.previous;
    l.view = std::move(view);
    return l;
}

ChainLink with(LinkKind kind, std::vector<float> vector, bool tiled = false) {
    ChainLink l;
    l.link.kind = kind;
    l.link.tiled = tiled;
    l.vector = std::move(vector);
    return l;
}

class ChainTest : public MixersCase {
  protected:
    /// The links with their operands in backend memory: views of `dtype`, `padding` apart.
    std::vector<Link> stored(const std::vector<ChainLink>& links, DType dtype, std::int64_t padding) {
        std::vector<Link> result;
        for (const ChainLink& l : links) {
            Link link = l.link;
            if (!l.vector.empty()) {
                link.vector = kept(l.vector);
                link.n = static_cast<std::int64_t>(l.vector.size());
            } else if (l.view.rows > 0) {
                link.view = kept(l.view, padding, dtype);
                link.n = l.view.cols;
            }
            result.push_back(link);
        }
        return result;
    }

    static std::vector<Link> part(std::vector<Link> links, std::int64_t first, std::int64_t count) {
        for (Link& link : links)
            if (link.view.present()) link.view = link.view.row_range(first, count);
        return links;
    }

    void check(const Matrix& x, const std::vector<ChainLink>& links, Rows rows, DType dtype,
               std::int64_t padding) {
        const View input = kept(x, padding, dtype);
        const std::vector<Link> given = stored(links, dtype, padding);
        const Matrix found = check_produced(
            [&](Rows some, std::int64_t first, const Produced& out) {
                backend().chain(input.row_range(first, some.count()), part(given, first, some.count()), some,
                                out);
            },
            rows, x.cols);
        expect_bounded(found, reference::chain(x, links, rows.chunk_tokens));
    }
};

INSTANTIATE_TEST_SUITE_P(Backends, ChainTest, testing::ValuesIn(all_cases()), name_of);

TEST_P(ChainTest, AppliesFunctions) {
    const Rows rows{2, 30};
    for (const Activation activation : kAll) {
        SCOPED_TRACE(testing::Message() << "function " << static_cast<int>(activation));
        // Small and large numbers of both signs; the squares of results have sums.
        Matrix x = random(rows.count(), 67, DType::F32, 3);
        for (std::int64_t c = 0; c < x.cols; ++c) {
            x.at(0, c) *= 0x1p-12;
            x.at(1, c) = static_cast<double>(c) - 33.0;
            x.at(2, c) = static_cast<double>(c % 2 == 0 ? -80 - c : c % 40 + 3);
        }
        check(x, {function(activation)}, rows, DType::F32, 1);
        if (HasFailure()) return;
    }
}

TEST_P(ChainTest, FollowsLinks) {
    struct Shape {
        Rows rows;
        std::int64_t n_heads;
        std::int64_t dim;
        std::int64_t padding;
    };
    for (const Shape& shape : {Shape{{3, 1}, 2, 4, 0},
                               {{2, 70}, 4, 33, 1},
                               {{2, 33}, 6, 64, 4},
                               {{1, 5}, 3, 700, 0},
                               {{2, 9}, 48, 2, 0}})
        for (const DType dtype : {DType::F32, backend().activation_dtype()}) {
            const std::int64_t n = shape.rows.count();
            const std::int64_t cols = shape.n_heads * shape.dim;
            SCOPED_TRACE(testing::Message() << n << " x " << cols);
            const auto matrix = [&](std::int64_t width) { return random(n, width, dtype); };
            using Kind = LinkKind;
            // An output gate; then a shift of tokens; then what is left of both.
            check(matrix(cols),
                  {with(Kind::Times, matrix(cols)), with(Kind::Plus, random_floats(cols)),
                   function(Activation::Silu), with(Kind::Times, matrix(shape.n_heads)),
                   with(Kind::Times, random_floats(shape.dim), true), number(Kind::Affine, 0.5f, -0.25f),
                   with(Kind::Plus, matrix(shape.dim), {true, false}), number(Kind::Clamp, -2, 1.5f)},
                  shape.rows, dtype, shape.padding);
            check(matrix(cols),
                  {with(Kind::Minus, matrix(cols), {false, true}), with(Kind::Times, random_floats(cols)),
                   with(Kind::Plus, matrix(shape.n_heads), {false, true}),
                   with(Kind::Minus, random_floats(shape.n_heads)),
                   with(Kind::Times, matrix(shape.dim), {true, true}), with(Kind::Plus, matrix(1))},
                  shape.rows, dtype, shape.padding);
            check(matrix(cols), {}, shape.rows, dtype, shape.padding);
            if (HasFailure()) return;
        }
}

TEST_P(ChainTest, LeavesActivations) {
    const Rows rows{2, 11};
    for (const std::int64_t cols : {40, 33}) {
        const Matrix x = random(rows.count(), cols, DType::F32);
        const View input = kept(x);
        Link link;
        link.activation = Activation::Tanh;
        const Stored plain = blank(rows.count(), cols, DType::F32);
        const Stored activations = blank(rows.count(), cols, backend().activation_dtype());
        backend().chain(input, {&link, 1}, rows, {{}, plain.view, {}});
        backend().chain(input, {&link, 1}, rows, {{}, activations.view, {}});
        const Matrix full = fetch(plain.view);
        expect_near(fetch(activations.view), full, [&](auto r, auto c) {
            return backend().activation_dtype() == DType::F32 ? 0.0 : 0x1p-8 * std::abs(full.at(r, c));
        });
    }
}

TEST_P(ChainTest, RefusesOperandsThatDoNotFit) {
    const View x = kept(Matrix(4, 8));
    Link link;
    link.kind = LinkKind::Times;
    const auto message = [&] {
        try {
            backend().chain(x, {&link, 1}, {1, 4}, {{}, x, {}});
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("nothing");
    };
    EXPECT_EQ(message(), "chain: a link has a view or a vector, not both nor neither");
    link.view = x.col_range(0, 3);
    link.n = 3;
    EXPECT_EQ(message(), "chain: an operand of 3 columns for 8");
    link.n = 4;
    EXPECT_EQ(message(), "operand of a chain: [4, 3] was given, expected [4, 4]");
    const std::vector<Link> many(17);
    EXPECT_THROW(backend().chain(x, many, {1, 4}, {{}, x, {}}), Error);
}

TEST(ChainThreads, LeaveTheSameBits) {
    const auto chain = [](Backend& backend, const auto& numbers, View out) {
        std::vector<Link> links(2);
        links[0].activation = Activation::Softplus;
        links[1].kind = LinkKind::Times;
        links[1].vector = numbers(out.cols);
        links[1].n = out.cols;
        const View x{const_cast<float*>(numbers(out.rows * out.cols)), DType::F32, out.rows, out.cols,
                     out.cols};
        backend.chain(x, links, {2, out.rows / 2}, {{}, out, {}});
    };
    const auto results = on_threads({1, 2, 3}, 300, 70, chain);
    EXPECT_EQ(results[1], results[0]);
    EXPECT_EQ(results[2], results[0]);
    EXPECT_FALSE(std::isnan(results[0].back()));
}

}  // namespace
}  // namespace assay::backend
