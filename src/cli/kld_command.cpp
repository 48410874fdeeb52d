// `assay kld`: how far quantised files of a model predict otherwise than the model.
#include <fmt/format.h>

#include "calibrate/kld.h"
#include "cli/commands.h"
#include "cli/table_command.h"
#include "core/error.h"
#include "report/comparison_text.h"

namespace assay::cli {

int kld_command(const Arguments& arguments) {
    if (arguments.text_from == TextFrom::Nowhere)
        throw Error(ErrorKind::Usage, "kld",
                    "takes a base, files to compare with it and a text: assay kld BASE A.gguf -f TEXT");
    check_table_output(arguments, {arguments.files.begin(), arguments.files.end()});
    calibrate::KldOptions options{arguments.options, {arguments.files.begin() + 1, arguments.files.end()}};
    options.run.model = arguments.files.front();
    options.run.text = read_text(arguments);

    RunObserver observer(arguments);
    catch_interrupts();
    const calibrate::KldResult result = calibrate::run_kld(options, observer);
    return finish_table<calibrate::KldResult, perplexity::Comparison>(
        arguments, observer, result,
        {report::comparison_json, report::comparison_csv, report::comparison_text},
        fmt::format("{} files", 1 + result.table.files.size()));
}

}  // namespace assay::cli
