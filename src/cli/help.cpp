#include "cli/help.h"

#include <fmt/format.h>

#include "cli/version.h"

namespace assay::cli {

namespace {

constexpr std::size_t kTextColumn = 32, kColumns = 108;
/// Fewer options are one list, without headings.
constexpr int kFewOptions = 16;

/// The option's lines: names, then the text behind or below them.
std::string lines_of(const Option& option, bool with_variable) {
    std::string out = names_text(option);
    out.insert(0, out.starts_with("--") ? 6 : 2, ' ');
    std::size_t column = out.size();
    std::string text(option.text);
    if (with_variable && !option.variable.empty()) text += fmt::format(" [{}]", option.variable);
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        const bool first = word.data() == text.data();
        if (first ? column + 1 < kTextColumn : column + 1 + word.size() <= kColumns) {
            const std::size_t blanks = first ? kTextColumn - column : 1;
            out.append(blanks, ' ');
            column += blanks;
        } else {
            out += '\n' + std::string(kTextColumn, ' ');
            column = kTextColumn;
        }
        out += word;
        column += word.size();
    }
    return out + '\n';
}

}  // namespace

std::string names_text(const Option& option) {
    std::string brief, full;
    for_each_name(option, [&](std::string_view name) {
        std::string& list = name.starts_with("--") ? full : brief;
        list += fmt::format("{}{}", list.empty() ? "" : ", ", name);
    });
    if (!brief.empty() && !full.empty()) brief += ", ";
    return fmt::format("{}{}{}{}", brief, full, option.value.empty() ? "" : " ", option.value);
}

std::string_view to_string(Section section) {
    switch (section) {
        case Section::Text: return "model and text";
        case Section::Matrix: return "what is collected and kept";
        case Section::Rounding: return "what is rounded";
        case Section::Recipe: return "the recipe";
        case Section::Machine: return "how it is run";
        case Section::Own: return "beyond llama-imatrix";
        case Section::Messages: return "messages";
    }
    return {};
}

std::string help_text(const Command& command) {
    std::string out = fmt::format("usage: assay {}\n\n{}\n", command.usage, command.about);
    int n_options = 0;
    std::string sections[static_cast<std::size_t>(Section::Messages) + 1];
    for_each_option(command.bit, [&](const Option& option) {
        if (option.fate != Fate::Works) return;
        sections[static_cast<std::size_t>(option.section)] += lines_of(option, (command.bit & kRuns) != 0);
        ++n_options;
    });
    if (n_options < kFewOptions) out += '\n';
    for (std::size_t i = 0; i < std::size(sections); ++i) {
        if (sections[i].empty()) continue;
        if (n_options >= kFewOptions) out += fmt::format("\n{}\n", to_string(static_cast<Section>(i)));
        out += sections[i];
    }
    return command.notes.empty() ? out : fmt::format("{}\n{}", out, command.notes);
}

std::string version_text() { return fmt::format("assay {}\n", kVersion); }

}  // namespace assay::cli
