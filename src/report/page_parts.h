// The files that html.cpp puts together, as they were at build time. Defined in a generated source.
#pragma once

#include <string_view>

namespace assay::report {

std::string_view page_html() noexcept;
std::string_view page_css() noexcept;
std::string_view page_js() noexcept;
std::string_view chart_js() noexcept;

}  // namespace assay::report
