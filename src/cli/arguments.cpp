#include "cli/arguments.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "cli/given.h"
#include "cli/values.h"
#include "core/error.h"
#include "core/file.h"

namespace assay::cli {

namespace {

constexpr std::int64_t kMostInt = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kLeastInt = std::numeric_limits<std::int32_t>::min();

constexpr Variable kVariables[] = {
    {"--model", "LLAMA_ARG_MODEL"},
    {"--ctx-size", "LLAMA_ARG_CTX_SIZE"},
    {"--threads", "LLAMA_ARG_THREADS"},
    {"--device", "LLAMA_ARG_DEVICE"},
    {"--gpu-layers", "LLAMA_ARG_N_GPU_LAYERS"},
    {"--verbosity", "LLAMA_ARG_LOG_VERBOSITY"},
};

void set_integer(std::int64_t& field, const Given& given, std::string_view option, std::int64_t least) {
    const auto text = given.last(option);
    if (!text) return;
    field = parse_integer(option, *text, least);
    if (field > kMostInt)
        throw_error(ErrorKind::Usage, option, "{} is too large, the most is {}", field, kMostInt);
}

/// A name that is not empty: what a script's unset variable leaves is a mistake, not a wish.
const std::string& needed(std::string_view option, const std::string& name, std::string_view of = "file") {
    if (name.empty()) throw_error(ErrorKind::Usage, option, "needs the name of a {}, found ''", of);
    return name;
}

void choose_text(Arguments& out, const Given& given) {
    const std::initializer_list<std::string_view> texts{"--file", "--binary-file", "--prompt"};
    if (given.times(texts) > 1)
        out.warnings.emplace_back("several texts were given (-f, -bf, -p), only the last one is used");
    const std::string_view winner = given.winner(texts);
    if (winner.empty()) return;
    out.text_source = given.last(winner).value_or("");
    if (winner == "--prompt") {
        if (!out.text_source.empty()) out.text_from = TextFrom::Prompt;
        return;
    }
    if (out.text_source.empty()) throw Error(ErrorKind::Usage, winner, "needs the name of a file");
    out.text_from = winner == "--file" ? TextFrom::File : TextFrom::BinaryFile;
    out.options.dataset = out.text_source;
}

void read_tokens_and_sums(Arguments& out, const Given& given) {
    calibrate::Options& options = out.options;
    out.escape = given.winner({"--escape", "--no-escape"}) == "--escape";
    out.ctx_size_given = given.has("--ctx-size");
    set_integer(options.n_ctx, given, "--ctx-size", 1);
    options.parse_special = given.has("--parse-special");
    set_integer(options.skip_chunks, given, "--chunk", 0);
    set_integer(options.max_chunks, given, "--chunks", -1);
    options.process_output = given.has("--process-output");
    if (const auto name = given.last("--output-tensor-name")) options.output_tensor_name = *name;
    options.perplexity = given.winner({"--ppl", "--no-ppl"}) != "--no-ppl";
    options.similarity = given.has("--layer-similarity");
}

/// What the peers set beside the model file, as metadata of it. 0 leaves what the file says.
void read_metadata(Arguments& out, const Given& given) {
    gguf::Overrides& metadata = out.options.metadata;
    for (const std::string& list : given.all("--override-kv"))
        for (auto& item : parse_overrides("--override-kv", list)) metadata.push_back(std::move(item));
    const auto number = [&](std::string_view option) {
        const auto word = given.last(option);
        return word ? parse_real(option, *word, 0) : 0;
    };
    const auto set = [&](const char* key, double value) {
        if (value != 0) metadata.emplace_back(key, gguf::f64(value));
    };
    set("{arch}.rope.freq_base", number("--rope-freq-base"));
    const std::string_view scale = given.winner({"--rope-scale", "--rope-freq-scale"});
    if (const double value = scale.empty() ? 0 : number(scale); value != 0)
        set("{arch}.rope.scaling.factor", scale == "--rope-scale" ? value : 1 / value);
    if (const auto type = given.last("--rope-scaling")) {
        if (*type != "none" && *type != "linear" && *type != "yarn")
            throw_error(ErrorKind::Usage, "--rope-scaling",
                        "'{}' is no kind of scaling; expected none, linear or yarn", *type);
        metadata.emplace_back("{arch}.rope.scaling.type", gguf::text(*type));
    }
    std::int64_t original = 0;
    set_integer(original, given, "--yarn-orig-ctx", 0);
    if (original > 0)
        metadata.emplace_back("{arch}.rope.scaling.original_context_length",
                              gguf::u64(static_cast<std::uint64_t>(original)));
}

void read_files(Arguments& out, const Given& given) {
    calibrate::Options& options = out.options;
    options.model = given.last("--model").value_or("");
    if (const auto output = given.last("--output")) options.output = needed("--output", *output);
    if (const auto format = given.last("--output-format"))
        options.format = parse_format("--output-format", *format);
    options.save_every_given = given.has("--output-frequency");
    set_integer(options.save_every, given, "--output-frequency", 0);
    set_integer(options.snapshot_every, given, "--save-frequency", 0);
    for (const std::string& list : given.all("--in-file"))
        for (std::string& path : parse_list("--in-file", list))
            options.in_files.emplace_back(std::move(path));
    if (const auto report = given.last("--report")) out.report = needed("--report", *report);
    const std::string_view numbers = given.winner({"--json", "--csv"});
    if (numbers == "--json") out.numbers = NumbersAs::Json;
    if (numbers == "--csv") out.numbers = NumbersAs::Csv;
}

/// The peers' ways of saying which GPUs a model goes to: "none" keeps it on the main one.
void choose_main_device(Arguments& out, const Given& given) {
    const std::string mode = given.last("--split-mode").value_or("layer");
    constexpr std::string_view kModes[] = {"none", "layer", "row", "tensor", "attn", "graph"};
    if (std::ranges::find(kModes, mode) == std::end(kModes))
        throw_error(ErrorKind::Usage, "--split-mode",
                    "'{}' is no split mode; expected none, layer, row, tensor, attn or graph", mode);
    std::int64_t main_device = 0;
    set_integer(main_device, given, "--main-gpu", kLeastInt);
    if (mode != "none") {
        if (given.has("--main-gpu"))
            out.warnings.emplace_back(
                "--main-gpu has no effect without --split-mode none: chunks are dealt evenly to the devices");
        return;
    }
    if (main_device < 0)
        out.options.device = "cpu";
    else
        out.options.main_device = main_device;
}

void choose_device(Arguments& out, const Given& given) {
    std::string& device = out.options.device;
    if (const auto list = given.last("--device")) {
        device.clear();
        for (const std::string& word : split_list(*list))
            device += (device.empty() ? "" : ",") + parse_device(word);
        if (device.empty())
            throw Error(ErrorKind::Usage, "--device",
                        "needs a value: auto, cpu, cuda, cuda:N or a list of these");
    } else if (given.last("--gpu-layers") == "0") {
        device = "cpu";
    }
    choose_main_device(out, given);
}

void read_machine(Arguments& out, const Given& given) {
    calibrate::Options& options = out.options;
    choose_device(out, given);
    // Calibration is what the peers call batch processing, so -tb wins over -t there and here.
    std::int64_t threads = 0;
    set_integer(threads, given, given.has("--threads-batch") ? "--threads-batch" : "--threads", kLeastInt);
    options.n_threads = static_cast<int>(std::clamp<std::int64_t>(threads, 0, kMostThreads));
    if (const auto word = given.last("--precision"))
        options.precision = parse_precision("--precision", *word);
    if (const auto word = given.last("--isa")) {
        options.isa = parse_isa(*word);
        if (!options.isa)
            throw_error(ErrorKind::Usage, "--isa",
                        "'{}' is no instruction set; expected scalar, avx2, avx512, avx512bf16 or amx",
                        *word);
    }
    set_integer(options.wave_chunks, given, "--wave", 0);
    if (const auto folder = given.last("--spill"))
        options.spill_folder = needed("--spill", *folder, "folder");
    if (const auto size = given.last("--memory")) options.memory_bytes = parse_size("--memory", *size);
    if (const auto size = given.last("--device-memory"))
        options.device_memory_bytes = parse_size("--device-memory", *size);
}

void read_verbosity(Arguments& out, const Given& given) {
    std::int64_t level = static_cast<std::int64_t>(out.verbosity);
    set_integer(level, given, "--verbosity", kLeastInt);
    level = std::clamp<std::int64_t>(level, 0, static_cast<std::int64_t>(Verbosity::Trace));
    out.verbosity = static_cast<Verbosity>(level);
    const std::string_view winner = given.winner({"--verbosity", "--verbose", "--log-disable"});
    if (winner == "--verbose") out.verbosity = Verbosity::Trace;
    if (winner == "--log-disable") out.verbosity = Verbosity::Errors;
}

std::optional<Mode> mode_without_work(const Given& given) {
    if (given.has("--help")) return Mode::Help;
    if (given.has("--version")) return Mode::Version;
    if (given.has("--list-devices")) return Mode::Devices;
    return std::nullopt;
}

Mode choose_mode(const Arguments& arguments, bool show_statistics) {
    const calibrate::Options& options = arguments.options;
    if (show_statistics) {
        if (options.in_files.size() == 1) return Mode::Statistics;
        throw_error(ErrorKind::Usage, "--show-statistics",
                    "a single imatrix file is required to compute tensor statistics, --in-file gave {}",
                    options.in_files.size());
    }
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

}  // namespace

Arguments parse_arguments(const Words& words) {
    CommandLine line = normalise(words, calibrate_options());
    const Given given(line.words, calibrate_options(), kVariables);
    Arguments out;
    out.warnings = std::move(line.warnings);
    if (const auto mode = mode_without_work(given)) {
        out.mode = *mode;
        return out;
    }
    if (!line.positional.empty())
        throw_error(ErrorKind::Usage, line.positional.front(),
                    "unexpected word; files are given with -m, -f and --in-file, commands come first");
    choose_text(out, given);
    read_tokens_and_sums(out, given);
    read_metadata(out, given);
    read_files(out, given);
    read_machine(out, given);
    read_verbosity(out, given);
    out.mode = choose_mode(out, given.has("--show-statistics"));
    return out;
}

std::string read_text(const Arguments& arguments) {
    std::string text = arguments.text_source;
    if (arguments.text_from != TextFrom::Prompt) text = read_file(arguments.text_source);
    if (arguments.text_from == TextFrom::File && text.ends_with('\n')) text.pop_back();
    if (arguments.escape && arguments.text_from != TextFrom::BinaryFile) text = unescape(text);
    if (text.empty())
        throw_error(ErrorKind::Usage, arguments.text_source.empty() ? "--prompt" : arguments.text_source,
                    "the text is empty");
    return text;
}

}  // namespace assay::cli
