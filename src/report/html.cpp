#include "report/html.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "report/json_values.h"
#include "report/page_parts.h"

namespace assay::report {

namespace {

std::string item(std::string_view term, std::string_view text) {
    return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", term, escape_html(text));
}

std::string headline(const MatrixReport& report) {
    std::string datasets;
    for (const auto& name : report.datasets) datasets += (datasets.empty() ? "" : ", ") + name;
    const std::uint64_t tokens = std::uint64_t{report.chunk_size} * report.chunk_count;
    std::string html = fmt::format("<article class=\"card\"><h2>{}</h2><dl>", escape_html(report.label));
    if (!report.model.empty()) html += item("Model", report.model);
    html += item("Text", datasets.empty() ? "not recorded" : datasets);
    html +=
        item("Tokens", fmt::format("{} ({} chunks of {})", tokens, report.chunk_count, report.chunk_size));
    if (const auto estimate = total_sums(report).finish())
        html += item("Perplexity", fmt::format("{:.4f} ± {:.4f}", estimate->perplexity, estimate->error));
    html += item("Weights", fmt::format("{}", report.coverage.n_weights));
    const auto verdict = stats::to_string(report.coverage.verdict());
    return html +
           fmt::format("</dl><p class=\"verdict {0}\"><strong>Coverage {0}.</strong> {1}</p></article>",
                       verdict, escape_html(report.coverage.sentence()));
}

/// Puts values in the places of `{{name}}`. One pass: what is put in is not looked at again.
class Template {
  public:
    explicit Template(std::string_view text) : rest_(text) {}

    /// The text before the next place, which must be `name`, then the value.
    void fill(std::string_view name, std::string_view value) {
        const std::string place = fmt::format("{{{{{}}}}}", name);
        const std::size_t at = rest_.find(place);
        if (at == std::string_view::npos)
            throw_error(ErrorKind::Internal, "page.html", "has no place {} where it is expected", place);
        page_.append(rest_.substr(0, at)).append(value);
        rest_.remove_prefix(at + place.size());
    }
    std::string finish() && { return std::move(page_.append(rest_)); }

  private:
    std::string_view rest_;
    std::string page_;
};

}  // namespace

std::string escape_html(std::string_view text) {
    std::string html;
    for (const char c : printable(text)) {
        switch (c) {
            case '&': html += "&amp;"; break;
            case '<': html += "&lt;"; break;
            case '>': html += "&gt;"; break;
            case '"': html += "&quot;"; break;
            case '\'': html += "&#39;"; break;
            default: html += c;
        }
    }
    return html;
}

std::string html_report(const ReportData& data) {
    if (data.matrices.empty()) throw_error(ErrorKind::Usage, "report", "there is no matrix to report on");
    std::string headlines;
    for (const MatrixReport& report : data.matrices) headlines += headline(report);
    const std::string title = escape_html(data.title);
    Template page(page_html());
    page.fill("title", title);
    page.fill("style", page_css());
    page.fill("heading", title);
    page.fill("headlines", headlines);
    page.fill("data", script_json(data));
    page.fill("chart", chart_js());
    page.fill("script", page_js());
    return std::move(page).finish();
}

}  // namespace assay::report
