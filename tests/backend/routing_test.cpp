// Which experts are chosen; their weights show in what the experts leave (experts_test.cpp).
#include <algorithm>

#include "backend/experts_case.h"
#include "core/error.h"

namespace assay::backend {
namespace {

using reference::Matrix;

using RoutingTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, RoutingTest, testing::ValuesIn(all_cases()), name_of);

TEST_P(RoutingTest, TiesGoToTheLowerIndex) {
    const Rows rows{1, 3};
    const Stored logits = store(Matrix(3, kExperts), DType::F32);
    for (const Gating gating :
         {Gating::Softmax, Gating::Sigmoid, Gating::SqrtSoftplus, Gating::SoftmaxSelected})
        for (const std::int64_t n_groups : {1, 4}) {
            RouteArgs args = route_args(gating, true);
            args.n_groups = n_groups;
            args.n_groups_used = std::min<std::int64_t>(n_groups, 2);
            const RoutingPtr routing = backend().route(logits.view, args, rows);
            for (std::int64_t e = 0; e < kExperts; ++e) EXPECT_EQ(routing->count(0, e), e < 3 ? 3 : 0);
        }
}

TEST_P(RoutingTest, AnExpertIsTakenAsOftenAsItsLogitsAreChosen) {
    Matrix values(2, kExperts);
    for (const std::int64_t chosen : {2, 3, 7}) values.at(0, chosen) = 1;  // of four experts: 1, 1, 3
    for (const std::int64_t chosen : {0, 4, 6}) values.at(1, chosen) = 1;  // 0, 2, 3
    const Stored logits = store(values, DType::F32);
    RouteArgs args = route_args(Gating::Softmax, true);
    args.logits_per_expert = 2;
    const RoutingPtr routing = backend().route(logits.view, args, {1, 2});
    const std::int64_t counts[] = {1, 2, 1, 2};
    for (std::int64_t e = 0; e < 4; ++e) EXPECT_EQ(routing->count(0, e), counts[e]);
}

TEST_P(RoutingTest, RefusesAChoiceThatIsNone) {
    const Stored logits = store(Matrix(1, kExperts), DType::F32);
    RouteArgs args = route_args(Gating::Sigmoid, true);
    for (const std::vector<std::int32_t>& chosen :
         std::vector<std::vector<std::int32_t>>{{0, 1, 8}, {0, -1, 2}, {3, 1, 3}, {0, 1}}) {
        args.chosen = chosen;
        EXPECT_THROW(backend().route(logits.view, args, {1, 1}), Error);
    }
    args.chosen = {};
    args.logits_per_expert = 3;
    EXPECT_THROW(backend().route(logits.view, args, {1, 1}), Error) << "eight logits";
    args.logits_per_expert = 1;
    args.n_groups = 4;
    EXPECT_THROW(backend().route(logits.view, args, {1, 1}), Error) << "three of one group of two";
}

}  // namespace
}  // namespace assay::backend
