// Values of options: sizes, words and escapes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backend/open.h"
#include "documents/role.h"
#include "gguf/metadata.h"
#include "imatrix/file.h"

namespace assay::cli {

/// What was given with an option.
struct Value {
    std::string option;  ///< as errors name it
    std::string text;
};

// All throw Error{Usage} naming `option`, what was found and what is expected.

/// "4096", "512m", "1.5G": bytes; k, m, g and t are powers of 1024, "b", "ib" may follow. More than zero.
std::uint64_t parse_size(std::string_view option, std::string_view text);
std::int64_t parse_integer(std::string_view option, std::string_view text, std::int64_t least,
                           std::int64_t most = INT32_MAX);
backend::Precision parse_precision(std::string_view option, std::string_view text);
imatrix::Format parse_format(std::string_view option, std::string_view text);
imatrix::Form parse_form(std::string_view option, std::string_view text);

/// A number like 0.25 or 1e6, finite and at least `least`.
double parse_real(std::string_view option, std::string_view text, double least);

/// A list of KEY=TYPE:VALUE, TYPE being int, float, bool or str.
gguf::Overrides parse_overrides(std::string_view option, std::string_view text);

/// A list of ROLE=X like assistant=1,user=0.25, each from 0 to 1024: as whole 1024ths, others stay 1.
documents::RoleWeights parse_weights(std::string_view option, std::string_view text);

/// "2026-11-27" as a time, its beginning, as ISO 8601 has it.
std::string parse_date(std::string_view option, std::string_view text);

/// The device in our words: "none" is cpu, "CUDA1" is cuda:1; others pass in lower case.
std::string parse_device(std::string_view text);

/// "a,b" as its parts, empty ones left out. A part in quotes may hold commas, and quotes as "" (RFC 4180); a
/// quote elsewhere is a character like others. At least one part: "" is what a script's unset variable
/// leaves.
std::vector<std::string> parse_list(std::string_view option, std::string_view text);

/// \n \r \t \' \" \\ and \xHH as the bytes they stand for; anything else stays.
std::string unescape(std::string_view text);

}  // namespace assay::cli
