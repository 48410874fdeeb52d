#include "cli/arguments.h"

#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "core/processors.h"

namespace assay::cli {

namespace {

/// More are not made, whatever is asked for.
constexpr std::int64_t kMostThreads = 4096;

/// The peers' ways of saying which GPUs a model goes to: one keeps it on the main one.
void choose_device(Arguments& a) {
    if (a.no_gpu_layers && !a.device_given) a.options.device = "cpu";
    if (!a.one_gpu && a.main_gpu)
        a.warnings.emplace_back(
            "--main-gpu has no effect without --split-mode none: chunks are dealt evenly to the devices");
    if (!a.one_gpu) return;
    if (a.main_gpu.value_or(0) < 0)
        a.options.device = "cpu";
    else
        a.options.main_device = a.main_gpu.value_or(0);
}

void join(Arguments& a) {
    if (a.n_texts > 1)
        a.warnings.emplace_back("several texts were given (-f, -bf, -p), only the last one is used");
    a.options.metadata.insert(a.options.metadata.end(), a.rotary.begin(), a.rotary.end());
    choose_device(a);
    // Calibration is what the peers call batch processing, so -tb wins over -t there and here.
    if (a.threads_batch) a.options.n_threads = static_cast<int>(*a.threads_batch);
    a.options.n_threads = static_cast<int>(std::clamp<std::int64_t>(a.options.n_threads, 0, kMostThreads));
}

}  // namespace

Arguments parse_arguments(const Words& words, Commands command) {
    CommandLine line = read_command_line(words, command);
    Arguments out;
    out.help = std::ranges::any_of(line.given, [](const Given& g) { return g.option->name() == "--help"; });
    if (out.help) return out;
    if ((command & kRuns) != 0) hear_environment(line, command);
    out.files = std::move(line.files);
    out.warnings = std::move(line.warnings);
    for (const Given& given : line.given)
        if (given.option->apply != nullptr) given.option->apply(out, given.value);
    join(out);
    return out;
}

Mode choose_mode(const Arguments& arguments) {
    const calibrate::Options& options = arguments.options;
    const bool one_file = arguments.statistics_form == imatrix::Form::Of2025;
    if (arguments.asked_mode == Mode::Statistics &&
        (options.in_files.empty() || (one_file && options.in_files.size() > 1)))
        throw_error(ErrorKind::Usage, "--show-statistics",
                    "a single imatrix file is required to compute tensor statistics, --in-file gave {}",
                    options.in_files.size());
    if (arguments.asked_mode) return *arguments.asked_mode;
    if (arguments.text_from != TextFrom::Nowhere) {
        if (options.model.empty())
            throw Error(ErrorKind::Usage, "--model", "is required to run a text: -m FILE");
        return Mode::Collect;
    }
    if (!options.in_files.empty()) return Mode::Merge;
    throw Error(ErrorKind::Usage, "",
                "No prompt provided and no precomputed matrices (--in-file) to combine; a run takes -m MODEL "
                "-f TEXT");
}

std::string read_text(const Arguments& arguments) {
    std::string text = arguments.text_source;
    if (arguments.text_from != TextFrom::Prompt) text = read_file(arguments.text_source);
    if (arguments.text_from == TextFrom::File && text.ends_with('\n')) text.pop_back();
    // The strings of JSON have escapes of their own.
    const bool json = documents::form_of(text, arguments.options.dataset, arguments.options.documents) ==
                      documents::Form::JsonLines;
    if (arguments.escape && arguments.text_from != TextFrom::BinaryFile && !json) text = unescape(text);
    if (text.empty())
        throw_error(ErrorKind::Usage, arguments.text_source.empty() ? "--prompt" : arguments.text_source,
                    "the text is empty");
    return text;
}

int threads_of(const Arguments& arguments) {
    return arguments.options.n_threads > 0 ? arguments.options.n_threads : available_processors();
}

}  // namespace assay::cli
