// Where PLaMo 3 cuts a text before anything else.
#pragma once

#include <string_view>
#include <vector>

namespace assay::tokenizer {

/// The pieces of `clean` text (see append_clean) that are tokenized apart, in order, none of them empty:
/// marks
/// <|plamo:...|> of up to 64 characters without white space; runs of two or more spaces, or of four or more
/// of any character but the line feed, that no mark interrupts; and what lies between. U+EE00 also cuts and
/// is in no piece.
std::vector<std::string_view> plamo_segments(std::string_view clean);

}  // namespace assay::tokenizer
