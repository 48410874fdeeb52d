#include "plan/estimate.h"

#include <gtest/gtest.h>

#include "backend/open.h"
#include "model/registry.h"
#include "support/fixture.h"

namespace assay::plan {
namespace {

model::Linear linear(std::int64_t n_in, std::int64_t n_out) {
    model::Linear result;
    result.weight.name = "w";
    result.weight.n_in = n_in;
    result.weight.n_out = n_out;
    return result;
}

model::Step product(std::initializer_list<model::Linear> linears) {
    return {model::Product{.x = {0, 0, 10}, .linears = linears}, {0, 0, 10}};
}

TEST(FlopPerToken, CountsWhatATokenMeets) {
    model::Attend attend;
    attend.n_heads = 4;
    attend.head_dim = attend.value_dim = 5;
    const model::Stage mixer{
        {product({linear(10, 20), linear(10, 5), linear(10, 5)}), {attend, {}}, product({linear(20, 10)})}};
    const model::GatedProduct gated{.x = {0, 0, 10}, .gate_up = {linear(10, 30), linear(10, 30)}};
    const model::Stage dense{{{gated, {}}, product({linear(30, 10)})}};
    model::Experts experts;
    experts.gate = experts.up = linear(10, 3);
    experts.down = linear(3, 10);
    experts.router.n_experts = 8;
    experts.router.n_used = 2;
    model::Program program;
    program.layers.resize(2);
    program.layers[0].stages = {mixer, dense};
    program.layers[1].stages = {mixer, {{product({linear(10, 8)})}}, {{{experts, {}}}}};
    program.output.linear = linear(10, 100);
    const double mixers = 2 * (2.0 * 500 + 2.0 * 50 * 4 * 10);  // 100 positions: 50 keys on average
    const double ffns = 2.0 * 900 + 2.0 * (80 + 2 * 90);
    EXPECT_EQ(flop_per_token(program, 100, false), mixers + ffns);
    EXPECT_EQ(flop_per_token(program, 100, true), mixers + ffns + 2.0 * 1000 / 2);
}

TEST(Rates, ArePositive) {
    ThreadPool pool(1);
    const auto backend = backend::open({"cpu", backend::Precision::Auto, {}, 64}, pool);
    EXPECT_GT(product_rate(*backend, 64, 128, 0.0), 0);
    const test::Fixture fixture("llama-dense");
    EXPECT_GT(read_rate(gguf::File::open(fixture.model())), 0);
}

}  // namespace
}  // namespace assay::plan
