// The report as one page that needs nothing else: style, script, Chart.js and all numbers are inside.
#pragma once

#include <string>
#include <string_view>

#include "report/report_data.h"

namespace assay::report {

/// The whole page, UTF-8. The numbers are also in it as JSON (element `data`), rounded to six digits. Text
/// from the data cannot leave its place: it is escaped in HTML and in the JSON. Throws Error{Usage} without
/// any matrix.
std::string html_report(const ReportData& data);

/// printable() text with `&<>"'` as character references.
std::string escape_html(std::string_view text);

}  // namespace assay::report
