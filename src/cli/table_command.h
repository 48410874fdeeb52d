// What `assay kld` and `assay sensitivity` share: a pass over a text whose result is one table.
#pragma once

#include <filesystem>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/run_observer.h"
#include "core/file.h"

namespace assay::cli {

/// Before the pass: throws as check_writable() where -o cannot be written, or would replace one of `kept` or
/// the text.
inline void check_table_output(const Arguments& arguments, std::vector<std::filesystem::path> kept) {
    if (arguments.output.empty()) return;
    if (arguments.text_from != TextFrom::Prompt) kept.emplace_back(arguments.text_source);
    check_writable(arguments.output, kept);
}

/// After the pass: tells of a stop, writes -o in JSON and prints the table; `through` is what the tokens went
/// through, as "3 files". Returns the exit code. Throws Error{Io}.
template <typename Result, typename Table>
int finish_table(const Arguments& arguments, RunObserver& observer, const Result& result,
                 const TableForms<Table>& forms, const std::string& through) {
    observer.end_progress();
    const Table& table = result.table;
    if (result.stopped)
        observer.tell(Verbosity::Errors,
                      fmt::format("assay: stopped as asked after {} chunks", table.n_chunks));
    if (table.n_chunks == 0) return stopped_code();
    if (!arguments.output.empty()) {
        const std::string text = forms.json(table);
        write_file_atomically(arguments.output, std::as_bytes(std::span(text)));
        observer.tell(Verbosity::Errors, "wrote " + arguments.output.string());
    }
    print_table<Table>(table, arguments.numbers, forms);
    observer.tell(Verbosity::Info, fmt::format("{} tokens through {} in {}", result.tokens, through,
                                               time_text(result.seconds)));
    return result.stopped ? stopped_code() : 0;
}

}  // namespace assay::cli
