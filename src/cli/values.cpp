#include "cli/values.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"

namespace assay::cli {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c);
    });
    return out;
}

/// Powers of 1024 that a suffix stands for; nothing for other words.
std::optional<int> exponent_of(std::string_view suffix) {
    if (suffix.empty() || suffix == "b") return 0;
    const std::size_t power = std::string_view("kmgt").find(suffix.front());
    const std::string_view rest = suffix.substr(1);
    if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib"))
        return std::nullopt;
    return static_cast<int>(power) + 1;
}

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

}  // namespace

std::uint64_t parse_size(std::string_view option, std::string_view text) {
    const std::string word = lower(text);
    double number = 0;
    const auto [end, error] =
        std::from_chars(word.data(), word.data() + word.size(), number, std::chars_format::fixed);
    const auto exponent =
        exponent_of(std::string_view(word).substr(static_cast<std::size_t>(end - word.data())));
    if (error != std::errc() || !exponent || !(number > 0))
        throw_error(ErrorKind::Usage, option,
                    "'{}' is no size; expected a number of bytes like 512m, 24g or 1.5t", text);
    const double bytes = std::ldexp(number, 10 * *exponent);
    if (!(bytes < 0x1p63)) throw_error(ErrorKind::Usage, option, "'{}' exceeds what memory can have", text);
    return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(bytes));
}

std::int64_t parse_integer(std::string_view option, std::string_view text, std::int64_t least,
                           std::int64_t most) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        throw_error(ErrorKind::Usage, option, "'{}' is no whole number", text);
    if (number < least)
        throw_error(ErrorKind::Usage, option, "{} is too small, the least is {}", number, least);
    if (number > most) throw_error(ErrorKind::Usage, option, "{} is too large, the most is {}", number, most);
    return number;
}

double parse_real(std::string_view option, std::string_view text, double least) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number))
        throw_error(ErrorKind::Usage, option, "'{}' is no number", text);
    if (number < least)
        throw_error(ErrorKind::Usage, option, "{} is too small, the least is {}", number, least);
    return number;
}

namespace {

/// Of one "TYPE:VALUE".
gguf::Value parse_value(std::string_view option, std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view type = text.substr(0, colon);
    const std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    if (type == "str") return gguf::text(std::string(value));
    if (type == "bool" && (value == "true" || value == "false")) return gguf::boolean(value == "true");
    if (type == "float") return gguf::f64(parse_real(option, value, std::numeric_limits<double>::lowest()));
    if (type == "int") {
        using Limits = std::numeric_limits<std::int64_t>;
        const std::int64_t number = parse_integer(option, value, Limits::lowest(), Limits::max());
        return {gguf::ValueType::I64, gguf::ValueType::I64, number};
    }
    throw_error(ErrorKind::Usage, option,
                "'{}' is no value; expected int:N, float:X, bool:true, bool:false or str:TEXT", text);
}

}  // namespace

gguf::Overrides parse_overrides(std::string_view option, std::string_view text) {
    gguf::Overrides overrides;
    for (const std::string& item : parse_list(option, text)) {
        const std::size_t sign = item.find('=');
        if (sign == 0 || sign == std::string::npos)
            throw_error(
                ErrorKind::Usage, option,
                "'{}' is no override; expected KEY=TYPE:VALUE, and quotes around one that holds a comma",
                item);
        overrides.emplace_back(item.substr(0, sign),
                               parse_value(option, std::string_view(item).substr(sign + 1)));
    }
    return overrides;
}

documents::RoleWeights parse_weights(std::string_view option, std::string_view text) {
    constexpr double kMost = 1024;  // so that counts stay exact
    documents::RoleWeights weights;
    for (const std::string& item : parse_list(option, text)) {
        const std::size_t sign = item.find('=');
        const auto role = documents::find_role(std::string_view(item).substr(0, sign));
        if (!role || sign == std::string::npos)
            throw_error(ErrorKind::Usage, option,
                        "'{}' is no weight; expected ROLE=X with system, user, assistant, tool, template or "
                        "text",
                        item);
        const double weight = parse_real(option, std::string_view(item).substr(sign + 1), 0);
        if (weight > kMost)
            throw_error(ErrorKind::Usage, option, "{} is too large, the most is {}", weight, kMost);
        weights.of[documents::index_of(*role)] =
            static_cast<int>(std::lround(weight * documents::RoleWeights::kOne));
    }
    return weights;
}

std::string parse_date(std::string_view option, std::string_view text) {
    int parts[3]{};
    const bool shaped = text.size() == 10 && text[4] == '-' && text[7] == '-';
    constexpr std::size_t kBegins[] = {0, 5, 8, 11};
    bool numbers = shaped;
    for (std::size_t i = 0; i < 3 && numbers; ++i) {
        const char* const end = text.data() + kBegins[i + 1] - 1;
        const auto read = std::from_chars(text.data() + kBegins[i], end, parts[i]);
        numbers = read.ec == std::errc() && read.ptr == end && parts[i] > 0;
    }
    const std::chrono::year_month_day date{std::chrono::year(parts[0]),
                                           std::chrono::month(static_cast<unsigned>(parts[1])),
                                           std::chrono::day(static_cast<unsigned>(parts[2]))};
    if (!numbers || !date.ok())
        throw_error(ErrorKind::Usage, option, "'{}' is no day; expected one like 2026-11-27", text);
    return std::string(text) + "T00:00:00";
}

backend::Precision parse_precision(std::string_view option, std::string_view text) {
    const std::string word = lower(text);
    if (word == "auto") return backend::Precision::Auto;
    if (word == "bf16") return backend::Precision::Bf16;
    if (word == "f32") return backend::Precision::F32;
    throw_error(ErrorKind::Usage, option, "'{}' is no precision; expected auto, bf16 or f32", text);
}

imatrix::Format parse_format(std::string_view option, std::string_view text) {
    if (text == "gguf") return imatrix::Format::Gguf;
    if (text == "dat") return imatrix::Format::Legacy;
    if (text == "exact") return imatrix::Format::GgufExact;
    throw_error(ErrorKind::Usage, option, "'{}' is no format of a matrix; expected gguf, dat or exact", text);
}

imatrix::Form parse_form(std::string_view option, std::string_view text) {
    if (text == "2025") return imatrix::Form::Of2025;
    if (text == "2026") return imatrix::Form::Of2026;
    throw_error(ErrorKind::Usage, option, "'{}' is no form of llama-imatrix; expected 2025 or 2026", text);
}

std::string parse_device(std::string_view text) {
    const std::string word = lower(text);
    if (word == "none") return "cpu";
    if (word.size() > 4 && word.starts_with("cuda") &&
        word.find_first_not_of("0123456789", 4) == std::string::npos)
        return "cuda:" + word.substr(4);
    return word;
}

std::vector<std::string> parse_list(std::string_view option, std::string_view text) {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < text.size(); ++i) {  // past the comma behind a part
        std::string part;
        const bool quoted = text[i] == '"';
        if (quoted) {
            for (++i; i < text.size() && !(text[i] == '"' && text.substr(i + 1, 1) != "\""); ++i) {
                if (text[i] == '"') ++i;
                part += text[i];
            }
            if (i == text.size()) throw_error(ErrorKind::Usage, option, "a quote is not closed in {}", text);
            ++i;
        }
        if (quoted && i < text.size() && text[i] != ',')
            throw_error(ErrorKind::Usage, option, "a quote ends before its comma in {}", text);
        for (; i < text.size() && text[i] != ','; ++i) part += text[i];
        if (!part.empty()) parts.push_back(std::move(part));
    }
    if (parts.empty()) throw_error(ErrorKind::Usage, option, "needs a value, found '{}'", text);
    return parts;
}

std::string unescape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        constexpr std::string_view kLetters = "nrt'\"\\";
        constexpr std::string_view kBytes = "\n\r\t'\"\\";
        const std::size_t letter = kLetters.find(text[i + 1]);
        if (letter != std::string_view::npos) {
            out += kBytes[letter];
            ++i;
            continue;
        }
        if (text[i + 1] == 'x' && text.size() - i > 3) {
            const auto high = hex_digit(text[i + 2]), low = hex_digit(text[i + 3]);
            if (high && low) {
                out += static_cast<char>(*high * 16 + *low);
                i += 3;
                continue;
            }
        }
        out += '\\';
    }
    return out;
}

}  // namespace assay::cli
