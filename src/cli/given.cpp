#include "cli/given.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/error.h"

namespace assay::cli {

namespace {

bool contains(std::initializer_list<std::string_view> options, std::string_view name) {
    return std::find(options.begin(), options.end(), name) != options.end();
}

}  // namespace

Given::Given(const Words& words, std::span<const OptionRow> rows, std::span<const Variable> variables) {
    CLI::App app;
    app.set_help_flag();
    for (const OptionRow& row : rows) {
        if (row.fate != Fate::Works) continue;
        const std::string name(canonical_name(row));
        if (row.takes == Takes::Nothing) {
            app.add_flag_callback(name, [this, name] { values_[name]; });
            continue;
        }
        CLI::Option* option = app.add_option_function<Words>(
            name, [this, name](const Words& values) { values_[name] = values; });
        option->expected(1)->take_all();
        option->allow_extra_args(false);  // or a value in brackets would be taken for a list
        const auto variable =
            std::find_if(variables.begin(), variables.end(),
                         [&](const Variable& candidate) { return candidate.option == name; });
        if (variable != variables.end()) option->envname(std::string(variable->name));
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
        order_.push_back(words[i]);
        const OptionRow* row = find_option(rows, words[i]);
        if (row != nullptr && row->takes != Takes::Nothing) ++i;
    }
    try {
        app.parse(Words(words.rbegin(), words.rend()));
    } catch (const CLI::Error& error) {
        throw Error(ErrorKind::Usage, "command line", error.what());
    }
}

std::optional<std::string> Given::last(std::string_view option) const {
    const auto found = values_.find(option);
    if (found == values_.end() || found->second.empty()) return std::nullopt;
    return found->second.back();
}

Words Given::all(std::string_view option) const {
    const auto found = values_.find(option);
    return found == values_.end() ? Words() : found->second;
}

std::string_view Given::winner(std::initializer_list<std::string_view> options) const {
    const auto found = std::find_if(order_.rbegin(), order_.rend(),
                                    [&](const std::string& name) { return contains(options, name); });
    return found == order_.rend() ? std::string_view() : std::string_view(*found);
}

std::size_t Given::times(std::initializer_list<std::string_view> options) const {
    return static_cast<std::size_t>(std::count_if(
        order_.begin(), order_.end(), [&](const std::string& name) { return contains(options, name); }));
}

}  // namespace assay::cli
