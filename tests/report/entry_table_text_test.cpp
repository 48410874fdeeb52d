#include "report/entry_table_text.h"

#include "golden.h"

namespace assay::report {
namespace {

std::string text_of(const imatrix::Matrix& matrix) {
    imatrix::Notes notes;
    return entry_table_text("m.gguf", stats::entry_table(matrix, notes));
}

// The table was printed by another program that follows the same description of llama-imatrix.
TEST(EntryTableText, EqualsTheGoldenTable) {
    imatrix::Notes notes;
    const std::string name = "hrm_text-dense.imatrix.gguf";
    const imatrix::Matrix matrix =
        imatrix::load(std::string(ASSAY_GOLDEN_DIR) + "/report/" + name, {}, notes);
    EXPECT_EQ(entry_table_text(name, stats::entry_table(matrix, notes)),
              golden_text("report/hrm_text-dense.statistics-2026.txt"));
}

TEST(EntryTableText, LeavesOutDistancesWithoutSums) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = {2, {1, 3}, {}, {1}};
    matrix.entries["blk.1.a.weight"] = {2, {2, 6}, {}, {1}};
    const std::string h_norm = "   81.13%";  // shares 1/4 and 3/4
    EXPECT_EQ(
        text_of(matrix),
        "\nComputing tensor statistics for m.gguf (2 tensors)\n"
        "\n Layer | Tensor                                   |       Mean    StdDev        Skew        Kurt  "
        " "
        "H Norm |        ∑ E[A²]    Gain |        PCC       Cov\n" +
            std::string(153, '-') +
            "\n     0 | blk.0.a.weight                           |     2.0000    1.0000      0.0000     "
            "-2.0000" +
            h_norm +
            " |         4.0000     nan |        nan       nan\n"
            "     1 | blk.1.a.weight                           |     4.0000    2.0000      0.0000     "
            "-2.0000" +
            h_norm +
            " |         8.0000    1.41 |     1.0000    2.0000\n"
            "\nComputing layer statistics for m.gguf (2 layers)\n"
            "\n Layer |        ∑ E[A²]    Gain |    CosSim      PCC         Cov\n" +
            std::string(64, '-') +
            "\n     0 |         4.0000     nan |       nan      nan         nan\n"
            "     1 |         8.0000    1.41 |    1.0000   1.0000      2.0000\n\n");
}

TEST(EntryTableText, CutsNamesAndLabelsBlocksThatPredictAhead) {
    imatrix::Matrix matrix;
    const std::string long_name = "blk.1.nextn." + std::string(30, 'x') + ".weight";
    matrix.entries["blk.0.a.weight"] = matrix.entries[long_name] = {1, {1}, {1}, {1}};
    const std::string text = text_of(matrix);
    EXPECT_NE(text.find("\n  mtp0 | .." + long_name.substr(long_name.size() - 38) + " | "), std::string::npos)
        << text;
    EXPECT_NE(text.find("\n  mtp0 |         1.0000     nan"), std::string::npos) << text;
}

TEST(EntryTableText, StopsBeforeALayerTableWithHoles) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = matrix.entries["blk.2.a.weight"] = {1, {1}, {1}, {1}};
    EXPECT_EQ(text_of(matrix).find("layer statistics"), std::string::npos);
}

TEST(EntryTableText, NamesCannotMoveTheTerminal) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0\x1b[2J.\n.weight"] = {1, {1}, {1}, {1}};
    EXPECT_EQ(text_of(matrix).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace assay::report
