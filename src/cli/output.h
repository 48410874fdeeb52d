// Standard output, whose every byte is checked, and messages on standard error.
#pragma once

#include <string>
#include <string_view>

#include "cli/arguments.h"

namespace assay::cli {

/// Writes what printable() leaves of it, with line feeds and tabs, and flushes. Fields of a table come
/// through printable() before: a line feed in a name must not make a row. Throws Error{Io} when a reader has
/// gone or a disk is full.
void print(std::string_view text);

/// One line on stderr, as printable() leaves it; the line feed is added. Failures are ignored: there is
/// nowhere to report them.
void say(std::string_view line);

/// "1.5 GiB"
std::string size_text(double bytes);

/// "3:07", "2:05:40": hours only when there are any.
std::string time_text(double seconds);

/// What a table becomes in each form that a command prints.
template <typename Table> struct TableForms {
    std::string (*json)(const Table&);
    std::string (*csv)(const Table&);
    std::string (*text)(const Table&);
};

template <typename Table>
void print_table(const Table& table, NumbersAs numbers, const TableForms<Table>& forms) {
    switch (numbers) {
        case NumbersAs::Json: print(forms.json(table)); break;
        case NumbersAs::Csv: print(forms.csv(table)); break;
        case NumbersAs::Text: print(forms.text(table)); break;
    }
}

}  // namespace assay::cli
