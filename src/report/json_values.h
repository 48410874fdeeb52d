// JSON values of the rooms' structs, shared by json.cpp and html.cpp. Private to the room.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "perplexity/perplexity.h"
#include "similarity/similarity.h"
#include "stats/activation.h"
#include "stats/compare.h"
#include "stats/coverage.h"
#include "stats/distribution.h"
#include "stats/tensor_stats.h"

namespace assay::report {

/// Keys stay in the order in which they are written.
using Json = nlohmann::ordered_json;

Json to_json(const stats::TensorStats& tensor);
Json to_json(const stats::LayerStats& layer);
Json to_json(const stats::ActivationStats& tensor);
Json to_json(const stats::Coverage& coverage);
Json to_json(const perplexity::Sums& sums);
Json to_json(const similarity::Similarity& similarity);

/// An array of to_json of each element.
template <typename Range> Json array_of(const Range& range) {
    Json array = Json::array();
    for (const auto& element : range) array.push_back(to_json(element));
    return array;
}

/// The text of a value; bytes that are not UTF-8 become U+FFFD instead of an exception.
std::string dump(const Json& value);

}  // namespace assay::report
