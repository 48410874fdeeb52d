#include "report/statistics_text.h"

#include "golden.h"

namespace assay::report {
namespace {

// The tensor rows are llama-imatrix's own output for these weights; the layer rows were computed from the
// same file in double precision.
TEST(StatisticsText, EqualsWhatLlamaImatrixPrinted) {
    imatrix::Notes notes;
    const auto tensors = stats::tensor_stats(peer_matrix(), notes);
    EXPECT_EQ(statistics_text("peer.gguf", tensors, stats::layer_stats(tensors)),
              golden_text("report/peer.statistics.txt"));
    EXPECT_TRUE(notes.empty());
}

TEST(StatisticsText, NamesCannotMoveTheTerminal) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0\x1b[2J.\tred\n\xc2\x9b.weight"] = {2, {1, 2}, {3, 4}, {5, 0}};
    imatrix::Notes notes;
    const auto tensors = stats::tensor_stats(matrix, notes);
    const std::string text = statistics_text("a\nb", tensors, {}) +
                             activation_text(stats::activation_stats(matrix), {}) +
                             coverage_text(stats::coverage(matrix));
    EXPECT_EQ(text.find_first_of("\x1b\r\x9b"), std::string::npos) << text;
    EXPECT_EQ(text.find("\tred"), std::string::npos);
    EXPECT_NE(text.find("\\u0009red\\u000a\\u009b"), std::string::npos) << text;
}

TEST(ActivationText, AlignsWhatIsNotDefined) {
    const std::string text = activation_text(stats::activation_stats(peer_matrix()), {});
    const auto second = text.find('\n') + 1, third = text.find('\n', second) + 1;
    const std::string rule = text.substr(second, third - second - 1);
    EXPECT_EQ(rule.find_first_not_of('-'), std::string::npos);
    const std::string row = text.substr(third, text.find('\n', third) - third);
    EXPECT_EQ(row.size(), rule.size());
    EXPECT_NE(row.find("nan"), std::string::npos);
}

TEST(CoverageText, NamesTheWeightsThatLack) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.ffn_up_exps.weight"] = {1, {1, 0}, {}, {500, 0}};
    const std::vector<std::string> expected{"blk.0.attn_q.weight"};
    EXPECT_EQ(
        coverage_text(stats::coverage(matrix, expected)),
        "Coverage: incomplete. 1 weight of the model not collected; 1 expert matrix never routed to. "
        "More, and "
        "more varied, text would reach them.\n"
        "  1 of 2 expert matrices reached, the least fed is expert 1 of blk.0.ffn_up_exps.weight with 0 "
        "tokens\n"
        "  to types that demand data: 1 expert matrix of 1 tensor would be rounded as if without data; 1 "
        "tensor is refused\n"
        "  not collected: 1\n    blk.0.attn_q.weight\n"
        "  blk.0.ffn_up_exps.weight: of 2 experts 1 without data, 0 with fewer than 100 rows (least 0, "
        "median "
        "500, most 500)\n");
}

}  // namespace
}  // namespace assay::report
