// JSON values of the rooms' structs, shared by json.cpp, page_json.cpp and html.cpp. Private to the room.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "report/report_data.h"

namespace assay::report {

/// Keys stay in the order in which they are written.
using Json = nlohmann::ordered_json;

Json to_json(const stats::TensorStats& tensor);
Json to_json(const stats::LayerStats& layer);
Json to_json(const stats::ActivationStats& tensor);
Json to_json(const stats::ActivationLayer& layer);
Json to_json(const stats::Coverage& coverage);
Json to_json(const perplexity::Sums& sums);
Json to_json(const similarity::Similarity& similarity);
Json to_json(const stats::Distribution& distribution);
Json to_json(const stats::Change& change);
Json to_json(const stats::Comparison& comparison);
Json to_json(const MatrixReport& report);

/// What rows count together: a whole number wherever it is one.
inline Json row_count(double count) {
    const auto whole = static_cast<std::uint64_t>(count);
    return static_cast<double>(whole) == count ? Json(whole) : Json(count);
}

/// An array of to_json of each element.
template <typename Range> Json array_of(const Range& range) {
    Json array = Json::array();
    for (const auto& element : range) array.push_back(to_json(element));
    return array;
}

/// The text of a value; bytes that are not UTF-8 become U+FFFD instead of an exception.
std::string dump(const Json& value);

/// The perplexity sums of the whole run: those of its chunks together, else the totals, else none.
perplexity::Sums total_sums(const MatrixReport& report);

/// All numbers of a page as JSON that may stand inside a script element: no `<` in it can begin an end tag
/// or a comment. Six significant digits, which is more than a picture shows and keeps the page small.
std::string script_json(const ReportData& data);

}  // namespace assay::report
