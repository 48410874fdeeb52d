#include "engine/estimate.h"

#include <gtest/gtest.h>

#include "backend/open.h"
#include "model/registry.h"
#include "support/fixture.h"

namespace assay::engine {
namespace {

model::Linear linear(std::int64_t n_in, std::int64_t n_out) {
    model::Linear result;
    result.weight.n_in = n_in;
    result.weight.n_out = n_out;
    return result;
}

TEST(FlopPerToken, CountsWhatATokenMeets) {
    model::Attention attention;
    attention.qkv = {linear(10, 20), linear(10, 5), linear(10, 5)};
    attention.output = linear(20, 10);
    attention.n_heads = 4;
    attention.head_dim = attention.value_dim = 5;
    model::DenseFfn dense;
    dense.gate = dense.up = linear(10, 30);
    dense.down = linear(30, 10);
    model::ExpertFfn experts;
    experts.router = linear(10, 8);
    experts.gate = experts.up = linear(10, 3);
    experts.down = linear(3, 10);
    experts.n_experts = 8;
    experts.n_used = 2;
    model::ModelSpec spec;
    spec.layers.resize(2);
    spec.layers[0].mixer = spec.layers[1].mixer = attention;
    spec.layers[0].ffn = dense;
    spec.layers[1].ffn = experts;
    spec.output = linear(10, 100);
    const double mixers = 2 * (2.0 * 500 + 2.0 * 50 * 4 * 10);  // 100 positions: 50 keys on average
    const double ffns = 2.0 * 900 + 2.0 * (80 + 2 * 90);
    EXPECT_EQ(flop_per_token(spec, 100, false), mixers + ffns);
    EXPECT_EQ(flop_per_token(spec, 100, true), mixers + ffns + 2.0 * 1000 / 2);
}

TEST(Rates, ArePositive) {
    ThreadPool pool(1);
    const auto backend = backend::open({"cpu", backend::Precision::Auto, {}, 64}, pool);
    EXPECT_GT(product_rate(*backend, 64, 128, 0.0), 0);
    const test::Fixture fixture("llama-dense");
    EXPECT_GT(read_rate(gguf::File::open(fixture.model())), 0);
}

}  // namespace
}  // namespace assay::engine
