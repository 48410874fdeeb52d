#include "cli/command_line.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace assay::cli {

namespace {

bool is_option(std::string_view word) {
    return word.size() > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9') && word[1] != '.';
}

bool is_switch_word(std::string_view word) {
    constexpr std::array<std::string_view, 9> kWords{"on",   "off",   "auto",    "0",       "1",
                                                     "true", "false", "enabled", "disabled"};
    return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

bool is_number(std::string_view word) {
    return !word.empty() && word.find_first_not_of("+-.0123456789eE") == std::string_view::npos &&
           word.find_first_of("0123456789") != std::string_view::npos;
}

class Normaliser {
  public:
    Normaliser(const Words& words, std::span<const OptionRow> rows) : words_(words), rows_(rows) {}

    CommandLine run() {
        while (next_ < words_.size()) {
            const std::string& word = words_[next_++];
            if (word == "--") {
                out_.positional.insert(out_.positional.end(),
                                       words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end());
                break;
            }
            if (is_option(word)) {
                option(word);
            } else {
                out_.positional.push_back(word);
            }
        }
        return std::move(out_);
    }

  private:
    void option(const std::string& word) {
        const std::size_t equals = word.find('=');
        std::string name = word.substr(0, equals);
        if (name.starts_with("--")) std::replace(name.begin(), name.end(), '_', '-');
        std::optional<std::string> attached;
        if (equals != std::string::npos) attached = word.substr(equals + 1);
        const OptionRow* row = find_option(rows_, name);
        if (row == nullptr) unknown(name);
        if (row->fate == Fate::Refused) throw Error(ErrorKind::Usage, name, row->reason);
        const Words values = take_values(*row, name, attached);
        if (row->fate == Fate::Works) {
            out_.words.emplace_back(canonical_name(*row));
            out_.words.insert(out_.words.end(), values.begin(), values.end());
        } else {
            warn(*row, name);
        }
    }

    [[noreturn]] void unknown(const std::string& name) const {
        const std::string_view nearest = nearest_name(rows_, name);
        if (nearest.empty())
            throw_error(ErrorKind::Usage, name, "unknown option; --help lists the known ones");
        throw_error(ErrorKind::Usage, name, "unknown option, is {} meant?", nearest);
    }

    Words take_values(const OptionRow& row, const std::string& name,
                      const std::optional<std::string>& attached) {
        Words values;
        if (attached) {
            if (row.takes == Takes::Nothing)
                throw_error(ErrorKind::Usage, name, "takes no value, '{}' was given", *attached);
            values.push_back(*attached);
        }
        switch (row.takes) {
            case Takes::Nothing: break;
            case Takes::Value: need(values, 1, name); break;
            case Takes::Two: need(values, 2, name); break;
            case Takes::Scaled:
                need(values, 1, name);
                if (next_ < words_.size() && is_number(words_[next_])) values.push_back(words_[next_++]);
                break;
            case Takes::Switch:
                if (values.empty() && next_ < words_.size() && is_switch_word(words_[next_]))
                    values.push_back(words_[next_++]);
                break;
        }
        return values;
    }

    void need(Words& values, std::size_t n, const std::string& name) {
        while (values.size() < n) {
            if (next_ == words_.size())
                throw Error(ErrorKind::Usage, name, n == 1 ? "needs a value" : "needs two values");
            values.push_back(words_[next_++]);
        }
    }

    void warn(const OptionRow& row, const std::string& name) {
        if (std::find(warned_.begin(), warned_.end(), &row) != warned_.end()) return;
        warned_.push_back(&row);
        out_.warnings.push_back(fmt::format("{} has no effect: {}", name, row.reason));
    }

    const Words& words_;
    std::span<const OptionRow> rows_;
    std::size_t next_ = 0;
    CommandLine out_;
    std::vector<const OptionRow*> warned_;
};

}  // namespace

CommandLine normalise(const Words& words, std::span<const OptionRow> rows) {
    return Normaliser(words, rows).run();
}

}  // namespace assay::cli
