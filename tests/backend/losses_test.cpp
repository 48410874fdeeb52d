// Cross-entropy over panels of the vocabulary.
#include <cmath>

#include "backend/backend_case.h"

namespace assay::backend {
namespace {

using LossesTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, LossesTest, testing::ValuesIn(all_cases()), name_of);

TEST_P(LossesTest, PanelsAgreeWithTheReference) {
    constexpr std::int64_t kRows = 37;
    constexpr std::int64_t kHidden = 128;
    constexpr std::int64_t kVocab = 300;
    const DType operand = backend().operand_dtype();
    for (const double cap : {0.0, 8.0})
        for (const bool with_bias : {false, true}) {
            SCOPED_TRACE(testing::Message() << "cap " << cap << " bias " << with_bias);
            const reference::Matrix x = random(kRows, kHidden, operand);
            const reference::Matrix w = random(kVocab, kHidden, operand, 0.3);
            const std::vector<float> bias = random_floats(kVocab);
            std::vector<std::int32_t> targets;
            for (std::int64_t r = 0; r < kRows; ++r)
                targets.push_back(r % 5 == 4 ? -1 : static_cast<std::int32_t>(random_() % kVocab));
            const Stored input = store(x, operand);
            const LossStatePtr state = backend().begin_losses(targets);
            for (std::int64_t first = 0; first < kVocab; first += 128) {
                const std::int64_t n = std::min<std::int64_t>(128, kVocab - first);
                reference::Matrix panel(n, kHidden);
                for (std::int64_t o = 0; o < n; ++o)
                    for (std::int64_t i = 0; i < kHidden; ++i) panel.at(o, i) = w.at(first + o, i);
                const BufferPtr panel_bias = store(
                    std::span(bias).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)));
                const MatrixPtr weights = prepare(panel);
                for (const std::int64_t row : {0, 20})
                    backend().add_losses(*state, row, input.view.row_range(row, row == 0 ? 20 : kRows - 20),
                                         *weights, with_bias ? panel_bias->f32() : nullptr, first, 0.5f,
                                         static_cast<float>(cap));
            }
            const std::vector<double> losses = backend().finish_losses(*state);
            ASSERT_EQ(losses.size(), static_cast<std::size_t>(kRows));
            reference::Matrix logits = reference::product(x, w);
            for (std::int64_t r = 0; r < kRows; ++r)
                for (std::int64_t c = 0; c < kVocab; ++c) {
                    double& logit = logits.at(r, c);
                    logit = 0.5 * (logit + (with_bias ? bias[static_cast<std::size_t>(c)] : 0.0));
                    if (cap > 0) logit = cap * std::tanh(logit / cap);
                }
            for (std::int64_t r = 0; r < kRows; ++r) {
                const std::int32_t target = targets[static_cast<std::size_t>(r)];
                const double loss = target < 0 ? 0.0 : reference::loss(logits, r, target);
                // Logits of size about 10 out of 128 products, in f32.
                EXPECT_NEAR(losses[static_cast<std::size_t>(r)], loss, target < 0 ? 0.0 : 256 * 0x1p-24 * 10)
                    << "row " << r;
            }
        }
}

}  // namespace
}  // namespace assay::backend
