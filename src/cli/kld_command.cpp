// `assay kld`: how far quantised files of a model predict otherwise than the model.
#include <fmt/format.h>
#include <vector>

#include "calibrate/kld.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/run_observer.h"
#include "core/error.h"
#include "core/file.h"
#include "report/comparison_text.h"

namespace assay::cli {

int kld_command(const Arguments& arguments) {
    if (arguments.text_from == TextFrom::Nowhere)
        throw Error(ErrorKind::Usage, "kld",
                    "takes a base, files to compare with it and a text: assay kld BASE A.gguf -f TEXT");
    const std::filesystem::path& output = arguments.output;
    if (!output.empty()) {
        std::vector<std::filesystem::path> kept(arguments.files.begin(), arguments.files.end());
        if (arguments.text_from != TextFrom::Prompt) kept.emplace_back(arguments.text_source);
        check_writable(output, kept);
    }
    calibrate::KldOptions options{arguments.options, {arguments.files.begin() + 1, arguments.files.end()}};
    options.run.model = arguments.files.front();
    options.run.text = read_text(arguments);

    RunObserver observer(arguments);
    catch_interrupts();
    const calibrate::KldResult result = calibrate::run_kld(options, observer);
    observer.end_progress();
    if (result.stopped)
        observer.tell(Verbosity::Errors,
                      fmt::format("assay: stopped as asked after {} chunks", result.table.n_chunks));
    if (result.table.n_chunks == 0) return stopped_code();
    if (!output.empty()) {
        const std::string text = report::comparison_json(result.table);
        write_file_atomically(output, std::as_bytes(std::span(text)));
        observer.tell(Verbosity::Errors, "wrote " + output.string());
    }
    print_table<perplexity::Comparison>(
        result.table, arguments.numbers,
        {report::comparison_json, report::comparison_csv, report::comparison_text});
    observer.tell(Verbosity::Info, fmt::format("{} tokens through {} files in {}", result.tokens,
                                               1 + result.table.files.size(), time_text(result.seconds)));
    return result.stopped ? stopped_code() : 0;
}

}  // namespace assay::cli
