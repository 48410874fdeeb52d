// Losses and divergences over panels of the vocabulary.
#include <cmath>

#include "backend/backend_case.h"

namespace assay::backend {
namespace {

using ScoresTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, ScoresTest, testing::ValuesIn(all_cases()), name_of);

reference::Matrix rows_of(const reference::Matrix& w, std::int64_t first, std::int64_t n) {
    reference::Matrix panel(n, w.cols);
    for (std::int64_t o = 0; o < n; ++o)
        for (std::int64_t i = 0; i < w.cols; ++i) panel.at(o, i) = w.at(first + o, i);
    return panel;
}

TEST_P(ScoresTest, TwoLogitsByHand) {
    // x = 1, so the logits are the weights: a = (0, ln 3), b = (0, 0), p = (1/4, 3/4), q = (1/2, 1/2).
    // KL = 1/4 ln(1/2) + 3/4 ln(3/2); losses of entry 1: ln(4/3) and ln 2. Exact in bf16 but for ln 3, whose
    // rounded value gives the logits.
    const DType operand = backend().operand_dtype();
    const double logit = f32() ? static_cast<double>(std::log(3.0f)) : 1.1015625;  // 2^-7 * 141
    reference::Matrix x(1, 1), a(2, 1), b(2, 1);
    x.at(0, 0) = 1;
    a.at(1, 0) = logit;
    const Stored input = store(x, operand);
    const std::vector<std::int32_t> targets{1};
    const ScoreStatePtr state = backend().begin_scores(targets, 1);
    const MatrixPtr panel_a = prepare(a);
    const MatrixPtr panel_b = prepare(b);
    const ScoredSide sides[] = {{input.view, panel_a.get()}, {input.view, panel_b.get()}};
    backend().add_scores(*state, sides, {});
    const Scores scores = backend().finish_scores(*state);
    const Divergence& found = scores.variants.at(0).at(0);
    EXPECT_EQ(scores.losses.at(0), found.reference_loss);
    const double p = std::exp(logit) / (1 + std::exp(logit));
    // A few roundings of numbers near 1 in f32.
    EXPECT_NEAR(found.reference_loss, -std::log(p), 1e-6);
    EXPECT_NEAR(found.loss, std::log(2.0), 1e-6);
    EXPECT_NEAR(found.divergence, (1 - p) * std::log(2 * (1 - p)) + p * std::log(2 * p), 1e-6);
    EXPECT_NEAR(found.divergence, 0.25 * std::log(0.5) + 0.75 * std::log(1.5), 5e-3);
    EXPECT_FALSE(found.same_top) << "of equal logits the first counts";
}

TEST_P(ScoresTest, PanelsAgreeWithTheReference) {
    constexpr std::int64_t kRows = 150;
    constexpr std::int64_t kHidden = 128;
    constexpr std::int64_t kVocab = 300;
    const DType operand = backend().operand_dtype();
    for (const double cap : {0.0, 8.0})
        for (const bool with_bias : {false, true}) {
            SCOPED_TRACE(testing::Message() << "cap " << cap << " bias " << with_bias);
            const reference::Matrix x = random(kRows, kHidden, operand);
            const reference::Matrix y = random(kRows, kHidden, operand);
            const reference::Matrix w = random(kVocab, kHidden, operand, 0.1);
            const reference::Matrix v = random(kVocab, kHidden, operand, 0.1);
            const std::vector<float> bias = random_floats(kVocab);
            const std::vector<float> other_bias = random_floats(kVocab);
            std::vector<std::int32_t> targets;
            for (std::int64_t r = 0; r < kRows; ++r)
                targets.push_back(r % 5 == 4 ? -1 : static_cast<std::int32_t>(random_() % kVocab));
            const Stored a = store(x, operand);
            const Stored b = store(y, operand);
            // Another input; another matrix; both; the same.
            const View inputs[] = {b.view, a.view, b.view, a.view};
            const ScoreStatePtr state = backend().begin_scores(targets, std::size(inputs));
            const ScoreStatePtr alone = backend().begin_scores(targets, 0);
            for (std::int64_t first = 0; first < kVocab; first += 128) {
                const std::int64_t n = std::min<std::int64_t>(128, kVocab - first);
                const BufferPtr panel_bias = store(
                    std::span(bias).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)));
                const MatrixPtr plain = prepare(rows_of(w, first, n));
                const MatrixPtr other = prepare(rows_of(v, first, n));
                const BufferPtr panel_other_bias =
                    store(std::span(other_bias)
                              .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)));
                const float* own = with_bias ? panel_bias->f32() : nullptr;
                const float* others = with_bias ? panel_other_bias->f32() : nullptr;
                const ScoredSide sides[] = {{a.view, plain.get(), own},
                                            {inputs[0], plain.get(), own},
                                            {inputs[1], other.get(), others},
                                            {inputs[2], other.get(), others},
                                            {inputs[3], plain.get(), own}};
                const Logits logits{first, 0.5f, static_cast<float>(cap)};
                backend().add_scores(*state, sides, logits);
                backend().add_scores(*alone, {sides, 1}, logits);
            }
            const auto finish_logits = [&](reference::Matrix logits, const std::vector<float>& added) {
                for (std::int64_t r = 0; r < kRows; ++r)
                    for (std::int64_t c = 0; c < kVocab; ++c) {
                        double& logit = logits.at(r, c);
                        logit = 0.5 * (logit + (with_bias ? added[static_cast<std::size_t>(c)] : 0.0));
                        if (cap > 0) logit = cap * std::tanh(logit / cap);
                    }
                return logits;
            };
            const reference::Matrix truth = finish_logits(reference::product(x, w), bias);
            const reference::Matrix others[] = {finish_logits(reference::product(y, w), bias),
                                                finish_logits(reference::product(x, v), other_bias),
                                                finish_logits(reference::product(y, v), other_bias), truth};
            const Scores scores = backend().finish_scores(*state);
            EXPECT_EQ(backend().finish_scores(*alone).losses, scores.losses) << "variants change no loss";
            for (std::size_t i = 0; i < std::size(inputs); ++i) {
                const std::vector<Divergence>& found = scores.variants.at(i);
                ASSERT_EQ(found.size(), static_cast<std::size_t>(kRows));
                for (std::int64_t r = 0; r < kRows; ++r) {
                    const Divergence& row = found[static_cast<std::size_t>(r)];
                    const std::int32_t target = targets[static_cast<std::size_t>(r)];
                    const bool scored = target >= 0;
                    // Logits of size about 4 out of 128 products, in f32.
                    const double tolerance = scored ? 256 * 0x1p-24 * 4 : 0.0;
                    EXPECT_EQ(row.reference_loss, scores.losses[static_cast<std::size_t>(r)]);
                    EXPECT_NEAR(row.reference_loss, scored ? reference::loss(truth, r, target) : 0.0,
                                tolerance);
                    EXPECT_NEAR(row.loss, scored ? reference::loss(others[i], r, target) : 0.0, tolerance);
                    EXPECT_NEAR(row.divergence, scored ? reference::divergence(truth, others[i], r) : 0.0,
                                tolerance);
                    const reference::Top top = reference::top(truth, r);
                    const reference::Top other_top = reference::top(others[i], r);
                    // Where the two largest logits are closer than that, either may be on top.
                    const bool clear = std::min(top.lead, other_top.lead) > tolerance;
                    const bool same_top = scored && top.entry == other_top.entry;
                    EXPECT_TRUE((scored && !clear) || row.same_top == same_top);
                    if (i != 3) continue;
                    EXPECT_EQ(row.same_top, scored);
                    EXPECT_EQ(row.divergence, 0.0);
                    EXPECT_EQ(row.loss, row.reference_loss);
                }
            }
        }
}

TEST_P(ScoresTest, ASmallChangeIsNeverFarBelowZero) {
    constexpr std::int64_t kRows = 64;
    constexpr std::int64_t kHidden = 64;
    constexpr std::int64_t kVocab = 1000;
    const DType operand = backend().operand_dtype();
    const reference::Matrix x = random(kRows, kHidden, operand);
    const reference::Matrix w = random(kVocab, kHidden, operand, 0.3);
    reference::Matrix v = w;
    for (double& weight : v.values) weight *= 1 + 2 * operand_epsilon();
    const std::vector<std::int32_t> targets(kRows, 0);
    const Stored input = store(x, operand);
    const ScoreStatePtr state = backend().begin_scores(targets, 1);
    const MatrixPtr plain = prepare(w);
    const MatrixPtr other = prepare(v);
    const ScoredSide sides[] = {{input.view, plain.get()}, {input.view, other.get()}};
    backend().add_scores(*state, sides, {});
    // Each exponential has a relative error of a few 2^-24, each difference of logits as much of itself.
    const Scores scores = backend().finish_scores(*state);
    for (const Divergence& row : scores.variants.at(0)) EXPECT_GT(row.divergence, -8 * 0x1p-24);
}

}  // namespace
}  // namespace assay::backend
