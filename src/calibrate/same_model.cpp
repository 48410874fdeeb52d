#include "calibrate/same_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "gguf/value_text.h"
#include "model/print.h"

namespace assay::calibrate {

namespace {

/// Of those that differ; a sentence needs no more.
constexpr std::size_t kMostNamed = 4;
constexpr const char* kArchitecture = "general.architecture";
constexpr const char* kTokens = "tokenizer.ggml.tokens";

/// Sentence parts, the base's side first.
using Differences = std::vector<std::string>;

std::string text_of(const gguf::Value* value) {
    return value == nullptr ? "missing" : printable(gguf::value_text(*value));
}

bool same(const gguf::Value& a, const gguf::Value& b) {
    return static_cast<const gguf::ValueData::Variant&>(a.data) ==
           static_cast<const gguf::ValueData::Variant&>(b.data);
}

/// Of the keys that begin with `prefix`, those that both have with other values; with `lone` also those that
/// only one has.
void compare_keys(const gguf::Metadata& base, const gguf::Metadata& other, const std::string& prefix,
                  bool lone, Differences& found) {
    const auto add = [&](const std::string& key, const gguf::Value* there, const gguf::Value* here) {
        if (there != nullptr && here != nullptr ? !same(*there, *here) : lone)
            found.push_back(fmt::format("{} ({}, {})", printable(key), text_of(there), text_of(here)));
    };
    for (const auto& [key, value] : base.values())
        if (key.starts_with(prefix)) add(key, &value, other.find(key));
    for (const auto& [key, value] : other.values())
        if (key.starts_with(prefix) && base.find(key) == nullptr) add(key, nullptr, &value);
}

void compare_tokens(const gguf::Metadata& base, const gguf::Metadata& other, Differences& found) {
    const gguf::Strings* there = base.find_strings(kTokens);
    const gguf::Strings* here = other.find_strings(kTokens);
    if (there == nullptr || here == nullptr || *there == *here) return;
    const auto differing = std::ranges::mismatch(*there, *here).in1 - there->begin();
    found.push_back(fmt::format("{} ({} entries, {}; entry {} is the first to differ)", kTokens,
                                there->size(), here->size(), differing));
}

void compare_tensors(const gguf::File& base, const gguf::File& other, Differences& found) {
    for (const gguf::Tensor& tensor : base.tensors()) {
        const gguf::Tensor* same_name = other.find(tensor.name);
        if (same_name == nullptr || same_name->ne != tensor.ne)
            found.push_back(fmt::format("{} ({}, {})", printable(tensor.name), tensor.shape_text(),
                                        same_name == nullptr ? "missing" : same_name->shape_text()));
    }
    for (const gguf::Tensor& tensor : other.tensors())
        if (base.find(tensor.name) == nullptr)
            found.push_back(fmt::format("{} (missing, {})", printable(tensor.name), tensor.shape_text()));
}

}  // namespace

void check_same_model(const gguf::File& base, const model::Program& base_program, const gguf::File& other,
                      const model::Program& other_program) {
    const bool same_program = model::computation_text(base_program) == model::computation_text(other_program);
    Differences found;
    compare_keys(base.metadata(), other.metadata(), kArchitecture, true, found);
    if (found.empty()) {
        const std::string architecture(base.metadata().get_string(kArchitecture));
        compare_keys(base.metadata(), other.metadata(), architecture + ".", !same_program, found);
        compare_tokens(base.metadata(), other.metadata(), found);
        if (!same_program) compare_tensors(base, other, found);
        if (found.empty() && !same_program) found.emplace_back("their programs");
    }
    if (found.empty()) return;
    std::string text;
    for (std::size_t i = 0; i < std::min(found.size(), kMostNamed); ++i)
        text += (i == 0 ? "" : ", ") + found[i];
    if (found.size() > kMostNamed) text += fmt::format(" and {} more", found.size() - kMostNamed);
    throw_error(ErrorKind::Usage, other.where(), "holds another model than {}, whose value comes first: {}",
                base.where(), text);
}

}  // namespace assay::calibrate
