#include "cli/parse.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <optional>
#include <unistd.h>
#include <utility>

#include "core/error.h"

namespace assay::cli {

namespace {

bool is_option(std::string_view word) {
    return word.size() > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9') && word[1] != '.';
}

/// How many words follow the option at least.
std::size_t n_values(const Option& option) {
    if (option.value.empty() || option.value.front() == '[') return 0;
    return 1 + static_cast<std::size_t>(std::ranges::count(option.value, ' '));
}

class Reader {
  public:
    Reader(const Words& words, Commands command) : words_(words), command_(command) {}

    CommandLine run() {
        while (next_ < words_.size()) {
            const std::string& word = words_[next_++];
            if (word == "--") {
                out_.files.insert(out_.files.end(), words_.begin() + static_cast<std::ptrdiff_t>(next_),
                                  words_.end());
                break;
            }
            if (is_option(word))
                read_option(word);
            else
                out_.files.push_back(word);
        }
        return std::move(out_);
    }

  private:
    void read_option(const std::string& word) {
        const std::size_t equals = word.find('=');
        std::string name = word.substr(0, equals);
        if (name.starts_with("--")) std::replace(name.begin(), name.end(), '_', '-');
        const Option* option = find_option(name, command_);
        if (option == nullptr) unknown(name);
        if (option->fate == Fate::Refused) throw Error(ErrorKind::Usage, name, option->text);
        std::optional<std::string> attached;
        if (equals != std::string::npos) attached = word.substr(equals + 1);
        const std::string value = take_value(*option, name, attached);
        if (option->fate == Fate::Ignored) warn(*option, name);
        out_.given.push_back({option, {std::string(option->name()), value}});
    }

    [[noreturn]] void unknown(const std::string& name) const {
        const std::string_view nearest = nearest_name(name, command_);
        if (nearest.empty())
            throw_error(ErrorKind::Usage, name, "unknown option; --help lists the known ones");
        throw_error(ErrorKind::Usage, name, "unknown option, is {} meant?", nearest);
    }

    /// The first of its values; options that take more have no effect.
    std::string take_value(const Option& option, const std::string& name,
                           const std::optional<std::string>& attached) {
        if (attached && option.value.empty())
            throw_error(ErrorKind::Usage, name, "takes no value, '{}' was given", *attached);
        Words values;
        if (attached) values.push_back(*attached);
        const std::size_t least = n_values(option);
        while (values.size() < least) {
            if (next_ == words_.size())
                throw Error(ErrorKind::Usage, name, least == 1 ? "needs a value" : "needs two values");
            values.push_back(words_[next_++]);
        }
        const bool may_follow = least == 0 && !option.value.empty() && values.empty();
        if (may_follow && next_ < words_.size() &&
            std::ranges::find(kSwitchWords, words_[next_]) != kSwitchWords.end())
            values.push_back(words_[next_++]);
        return values.empty() ? "" : values.front();
    }

    void warn(const Option& option, const std::string& name) {
        const auto same = [&](const Given& given) { return given.option == &option; };
        if (std::ranges::none_of(out_.given, same))
            out_.warnings.push_back(fmt::format("{} has no effect: {}", name, option.text));
    }

    const Words& words_;
    Commands command_;
    std::size_t next_ = 0;
    CommandLine out_;
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
    std::iota(previous.begin(), previous.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                current[j] = std::min(current[j], before[j - 2] + 1);
        }
        std::swap(before, previous);
        std::swap(previous, current);
    }
    return previous[b.size()];
}

std::string_view without_dashes(std::string_view name) {
    return name.substr(std::min(name.find_first_not_of('-'), name.size()));
}

}  // namespace

CommandLine read_command_line(const Words& words, Commands command) { return Reader(words, command).run(); }

void hear_environment(CommandLine& line, Commands command) {
    std::vector<Given> heard;
    for_each_option(command, [&](const Option& option) {
        if (option.variable.empty()) return;
        const char* value = std::getenv(std::string(option.variable).c_str());
        const auto typed = [&](const Given& given) { return given.option == &option; };
        if (value != nullptr && *value != '\0' && std::ranges::none_of(line.given, typed))
            heard.push_back({&option, {std::string(option.variable), value}});
    });
    line.given.insert(line.given.begin(), heard.begin(), heard.end());

    std::string unheard;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::string_view name = text.substr(0, text.find('='));
        if (!name.starts_with("LLAMA_ARG_") || name.size() + 1 >= text.size()) continue;
        bool known = false;
        for_each_option(command, [&](const Option& option) { known = known || option.variable == name; });
        if (!known) unheard += fmt::format("{}{}", unheard.empty() ? "" : ", ", name);
    }
    if (!unheard.empty())
        line.warnings.push_back(
            fmt::format("variables of the environment that are not heard here: {}", unheard));
}

const Option* find_option(std::string_view name, Commands command) {
    const Option* found = nullptr;
    for_each_option(command, [&](const Option& option) {
        for_each_name(option, [&](std::string_view candidate) {
            if (candidate == name) found = &option;
        });
    });
    return found;
}

std::string_view nearest_name(std::string_view name, Commands command) {
    // A wrong number of dashes is one mistake, however many there are.
    const auto distance = [](std::string_view a, std::string_view b) {
        const std::string_view bare_a = without_dashes(a), bare_b = without_dashes(b);
        const bool same_dashes = a.size() - bare_a.size() == b.size() - bare_b.size();
        return 2 * edit_distance(bare_a, bare_b) + (same_dashes ? 0 : 1);
    };
    std::string_view best;
    std::size_t least = std::string_view::npos;
    for_each_option(command, [&](const Option& option) {
        for_each_name(option, [&](std::string_view candidate) {
            const std::size_t d = distance(name, candidate);
            if (d >= least) return;
            least = d;
            best = candidate;
        });
    });
    const std::size_t letters = without_dashes(best).size();
    return 3 * least <= 2 * letters + 2 ? best : std::string_view();
}

}  // namespace assay::cli
