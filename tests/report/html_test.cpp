#include "report/html.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "golden.h"

namespace assay::report {
namespace {

using nlohmann::json;

constexpr std::string_view kDataOpen = "<script type=\"application/json\" id=\"data\">";
constexpr std::string_view kDataClose = "</script>";

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++n;
    return n;
}

json numbers_in(std::string_view page) {
    const std::size_t first = page.find(kDataOpen) + kDataOpen.size();
    return json::parse(page.substr(first, page.find(kDataClose, first) - first));
}

ReportData plain() {
    ReportData data;
    data.matrices.push_back(describe(peer_matrix(), "peer.gguf"));
    return data;
}

TEST(HtmlReport, CarriesItsNumbersAndNeedsNoNetwork) {
    const std::string page = html_report(plain());
    const json numbers = numbers_in(page);
    ASSERT_EQ(numbers["matrices"].size(), 1u);
    EXPECT_EQ(numbers["matrices"][0]["tensors"].size(), 9u);
    EXPECT_NE(page.find("Tokens</dt><dd>7168 (14 chunks of 512)"), std::string::npos);
    EXPECT_NE(page.find("Coverage complete."), std::string::npos);
    for (const std::string_view link : {" src=", "href=\"http", "@import", "url("})
        EXPECT_EQ(page.substr(0, page.find(kDataOpen)).find(link), std::string::npos) << link;
    EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
    EXPECT_NE(page.find("Chart.js v"), std::string::npos);
}

TEST(HtmlReport, KeepsHostileTextInItsPlace) {
    const std::string clean = html_report(plain());
    const std::string attack = "</script><script>alert(1)</script><!--{{data}}\"'&\xff";
    ReportData data = plain();
    data.title = attack;
    data.recipe = attack;
    MatrixReport& report = data.matrices[0];
    report.label = report.model = attack;
    report.datasets = {attack};
    report.tensors[0].name = report.tensors[0].parts.tensor = report.tensors[0].parts.layer = attack;
    report.distributions[0].name = attack;
    report.coverage.absent = report.coverage.empty = report.coverage.thin = {attack};
    report.coverage.experts.push_back({attack, {1, 2}});
    data.comparisons.push_back({{{attack}}, {attack}, {attack}});
    const std::string page = html_report(data);
    EXPECT_EQ(count(page, "<script"), count(clean, "<script"));
    EXPECT_EQ(count(page, "</script"), count(clean, "</script"));
    EXPECT_EQ(count(page, "<!--"), count(clean, "<!--"));
    EXPECT_EQ(numbers_in(page)["recipe"], "</script><script>alert(1)</script><!--{{data}}\"'&\\xff");
}

TEST(HtmlReport, EscapesText) {
    EXPECT_EQ(escape_html("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
    EXPECT_EQ(escape_html("\xc3\xa9\xff\x1b"), "\xc3\xa9\\xff\\u001b");
}

TEST(HtmlReport, DrawsTheCurveFromTheChunks) {
    ReportData data = plain();
    perplexity::Sums one, two;
    one.add(1);
    two.add(3);
    data.matrices[0].chunk_sums = {one, two};
    const std::string page = html_report(data);
    const json curve = numbers_in(page)["matrices"][0]["curve"];
    ASSERT_EQ(curve.size(), 2u);
    EXPECT_NEAR(curve[0][0].get<double>(), 2.71828, 1e-5);
    EXPECT_TRUE(curve[0][1].is_null());
    EXPECT_NEAR(curve[1][0].get<double>(), 7.38906, 1e-5);
    EXPECT_NE(page.find("Perplexity</dt><dd>7.3891"), std::string::npos);
}

TEST(HtmlReport, TakesNumbersAtTheEdgeOfDouble) {
    ReportData data = plain();
    similarity::Similarity& similarity = data.matrices[0].similarity.emplace();
    similarity.add(similarity::Kind::Layer, 0, 5e-310, 1);  // no normal number
    const json numbers = numbers_in(html_report(data));
    EXPECT_NEAR(numbers["matrices"][0]["similarity"]["layer"][0]["cos_sim"].get<double>(), 5e-310, 1e-315);
}

TEST(HtmlReport, RefusesNothing) { EXPECT_THROW(html_report({}), Error); }

// 100 layers with 256 experts and a dozen weights each.
TEST(HtmlReport, StaysSmallForALargeModel) {
    imatrix::Matrix matrix;
    matrix.chunk_size = 512;
    const auto add = [&](int layer, std::string_view tensor, std::size_t columns, std::size_t counts) {
        imatrix::Entry entry;
        entry.width = columns;
        for (std::size_t i = 0; i < columns * counts; ++i)
            entry.sum_sq.push_back(1.0 / 3 * double(i * i % 1009));
        entry.sum = entry.sum_sq;
        for (std::size_t i = 0; i < counts; ++i) entry.counts.push_back(123456 + i);
        matrix.entries[fmt::format("blk.{}.{}.weight", layer, tensor)] = std::move(entry);
    };
    for (int layer = 0; layer < 100; ++layer) {
        for (const auto tensor :
             {"attn_q_a", "attn_q_b", "attn_kv_a_mqa", "attn_k_b", "attn_v_b", "attn_output", "ffn_gate_inp",
              "ffn_up_shexp", "ffn_gate_shexp", "ffn_down_shexp"})
            add(layer, tensor, 16, 1);
        for (const auto tensor : {"ffn_up_exps", "ffn_gate_exps", "ffn_down_exps"})
            add(layer, tensor, 4, 256);
    }
    ReportData data;
    data.matrices.push_back(describe(matrix, "large.gguf"));
    EXPECT_LT(html_report(data).size(), 10'000'000u);
}

}  // namespace
}  // namespace assay::report
