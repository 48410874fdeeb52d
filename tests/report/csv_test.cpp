#include "report/csv.h"

#include <algorithm>

#include "golden.h"

namespace assay::report {
namespace {

TEST(Csv, HasOneFieldPerHeading) {
    imatrix::Notes notes;
    const auto matrix = peer_matrix();
    const auto tensors = stats::tensor_stats(matrix, notes);
    for (const std::string& text :
         {statistics_csv(tensors), statistics_csv(tensors, stats::activation_stats(matrix))}) {
        const auto commas = [&](std::size_t from) {
            return std::count(text.begin() + static_cast<std::ptrdiff_t>(from),
                              text.begin() + static_cast<std::ptrdiff_t>(text.find('\n', from)), ',');
        };
        for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
            EXPECT_EQ(commas(at), commas(0)) << text.substr(at, 80);
    }
}

TEST(Csv, QuotesNamesThatNeedIt) {
    stats::TensorStats tensor;
    tensor.name = "a,\"b\"";
    EXPECT_NE(statistics_csv(std::vector{tensor}).find("\n\"a,\"\"b\"\"\",,"), std::string::npos);
}

TEST(Csv, ControlCharactersMakeNoRows) {
    EXPECT_EQ(csv_field("a\nb\r\x1b[31m\t,c"), "\"a\\u000ab\\u000d\\u001b[31m\\u0009,c\"");
}

TEST(Csv, LeavesUndefinedFiguresEmpty) {
    stats::TensorStats tensor, other;
    tensor.name = "w";
    other.name = "without";
    stats::ActivationStats stats;
    stats.name = "w";
    const std::string text = statistics_csv(std::vector{tensor, other}, std::vector{stats});
    EXPECT_NE(text.find(",x^2,0,0,0,0,,,,,\nwithout,"), std::string::npos);
    EXPECT_TRUE(text.ends_with(",0,,,,,,,,,,\n"));
}

}  // namespace
}  // namespace assay::report
