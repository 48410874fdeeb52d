// `assay sensitivity`: which parts of a model mind being rounded.
#include <fmt/format.h>

#include "calibrate/sensitivity.h"
#include "cli/commands.h"
#include "cli/table_command.h"
#include "core/error.h"
#include "report/sensitivity_text.h"

namespace assay::cli {

int sensitivity_command(const Arguments& arguments) {
    if (arguments.text_from == TextFrom::Nowhere)
        throw Error(ErrorKind::Usage, "sensitivity",
                    "takes a model, a text and a type: assay sensitivity -m MODEL -f TEXT --type q4_K");
    if (arguments.options.model.empty()) throw Error(ErrorKind::Usage, "--model", "is required: -m FILE");
    calibrate::SensitivityOptions options = arguments.sensitivity;
    check_table_output(arguments, {arguments.options.model, options.matrix});
    options.run = arguments.options;
    options.run.text = read_text(arguments);

    RunObserver observer(arguments);
    catch_interrupts();
    const calibrate::SensitivityResult result = calibrate::run_sensitivity(options, observer);
    return finish_table<calibrate::SensitivityResult, perplexity::Sensitivity>(
        arguments, observer, result,
        {report::sensitivity_json, report::sensitivity_csv, report::sensitivity_text},
        fmt::format("{} variants", result.table.units.size()));
}

}  // namespace assay::cli
