#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "cli/foreign_options.h"
#include "cli/spelling.h"
#include "core/error.h"
#include "core/file.h"

namespace assay::cli {

namespace {

/// Values as they stand on the command line, before they are given their meaning.
struct Raw {
    std::vector<std::string> in_files;
    std::string format, precision, isa, memory, device;
    bool help = false, version = false, no_ppl = false, ppl = false, statistics = false, verbose = false;
    bool no_escape = false;
};

void add_options(CLI::App& app, Arguments& a, Raw& raw) {
    calibrate::Options& job = a.job;
    app.set_help_flag();
    app.add_flag("-h,--help", raw.help);
    app.add_flag("--version", raw.version);
    app.add_option("-m,--model", job.model)->envname("LLAMA_ARG_MODEL");
    app.add_option("-f,--file", a.text_file)->take_last();
    app.add_option_function<std::string>("--binary-file", [&a](const std::string& path) {
        a.text_file = path;
        a.text_is_raw = true;
    });
    app.add_option("-p,--prompt", a.prompt)->take_last();
    app.add_flag("-e,--escape", a.escape);
    app.add_flag("--no-escape", raw.no_escape);
    app.add_option("-o,--output-file", job.output)->take_last();
    app.add_option("--output-format", raw.format)->take_last();
    app.add_option("--output-frequency", job.save_every)->take_last();
    app.add_option("--save-frequency", job.snapshot_every)->take_last();
    app.add_flag("--process-output", job.process_output);
    app.add_option("--output-tensor-name", job.output_tensor_name)->take_last();
    app.add_option("--in-file", raw.in_files)->take_all()->allow_extra_args(false);
    app.add_option("--chunk", job.skip_chunks)->take_last();
    app.add_option("--chunks", job.max_chunks)->take_last();
    app.add_flag("--no-ppl", raw.no_ppl);
    app.add_flag("--ppl", raw.ppl);
    app.add_flag("--parse-special", job.parse_special);
    app.add_flag("--show-statistics", raw.statistics);
    app.add_flag("--layer-similarity", job.similarity);
    app.add_option("-c,--ctx-size", job.n_ctx)->envname("LLAMA_ARG_CTX_SIZE")->take_last();
    app.add_option("-t,--threads", job.n_threads)->envname("LLAMA_ARG_THREADS")->take_last();
    app.add_option("--verbosity", a.verbosity)->envname("LLAMA_ARG_LOG_VERBOSITY")->take_last();
    app.add_flag("--verbose", raw.verbose);
    app.add_option("--device", raw.device)->take_last();
    app.add_option("--precision", raw.precision)->take_last();
    app.add_option("--isa", raw.isa)->take_last();
    app.add_option("--wave", job.wave_chunks)->take_last();
    app.add_option("--memory", raw.memory)->take_last();
    app.add_option("--report", a.report)->take_last();
    app.add_flag("--json", a.json);
    app.add_flag("--csv", a.csv);
}

bool knows(const CLI::App& app, const std::string& name) { return app.get_option_no_throw(name) != nullptr; }

std::vector<std::string> known_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options())
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const ForeignOption& option : foreign_options())
        for (const std::string_view name : option.names) names.emplace_back(name);
    return names;
}

[[noreturn]] void unknown(const std::string& word, const CLI::App& app) {
    const std::string near = nearest_name(word, known_names(app));
    throw_error(ErrorKind::Usage, word, "unknown option{}; see --help",
                near.empty() ? std::string() : fmt::format(", did you mean {}", near));
}

/// Takes the value of a foreign option off the words; returns the index behind it.
std::size_t skip_foreign(const std::vector<std::string>& words, std::size_t i, const ForeignOption& option,
                         bool has_inline_value) {
    if (option.values == Values::None || has_inline_value) return i;
    if (option.values == Values::Optional) return i < words.size() && is_optional_value(words[i]) ? i + 1 : i;
    if (i >= words.size()) throw_error(ErrorKind::Usage, words[i - 1], "needs a value");
    return i + 1;
}

/// The words with known spellings, foreign options taken out.
std::vector<std::string> normalise(const std::vector<std::string>& words, const CLI::App& app, Arguments& a) {
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < words.size();) {
        const std::string& word = words[i++];
        if (!is_option(word))
            throw_error(ErrorKind::Usage, word,
                        "is no option; file names follow -m, -f, -o or --in-file, see --help");
        const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
        const std::string name = canonical_name(word.substr(0, equals));
        if (const ForeignOption* foreign = find_foreign(name)) {
            if (foreign->refused) throw_error(ErrorKind::Unsupported, name, "{}", foreign->reason);
            i = skip_foreign(words, i, *foreign, equals != std::string::npos);
            a.warnings.push_back(fmt::format("{} has no effect: {}", name, foreign->reason));
            continue;
        }
        if (!knows(app, name)) unknown(word, app);
        kept.push_back(name);
        if (app.get_option(name)->get_items_expected_max() == 0) continue;
        if (equals != std::string::npos)
            kept.push_back(word.substr(equals + 1));
        else if (i < words.size())
            kept.push_back(words[i++]);
    }
    return kept;
}

/// Comma-separated lists and repetitions alike.
std::vector<std::filesystem::path> split_paths(const std::vector<std::string>& values) {
    std::vector<std::filesystem::path> paths;
    for (const std::string& value : values)
        for (std::size_t begin = 0; begin <= value.size();) {
            const std::size_t end = std::min(value.find(',', begin), value.size());
            if (end > begin) paths.emplace_back(value.substr(begin, end - begin));
            begin = end + 1;
        }
    return paths;
}

template <typename T>
T one_of(const std::string& word, std::string_view option,
         std::initializer_list<std::pair<std::string_view, T>> choices) {
    std::string expected;
    for (const auto& [name, value] : choices) {
        if (name == word) return value;
        expected += (expected.empty() ? "" : ", ") + std::string(name);
    }
    throw_error(ErrorKind::Usage, option, "{} is not known, expected {}", word, expected);
}

/// "CUDA0", "cuda", "none" as the peers spell devices.
std::string device_name(std::string word) {
    std::ranges::transform(word, word.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (word == "none") return "cpu";
    if (word.size() > 4 && word.starts_with("cuda") && word[4] != ':') return "cuda:" + word.substr(4);
    return word;
}

void interpret(const Raw& raw, Arguments& a) {
    calibrate::Options& job = a.job;
    job.in_files = split_paths(raw.in_files);
    if (!raw.format.empty())
        job.format =
            one_of<imatrix::Format>(raw.format, "--output-format",
                                    {{"gguf", imatrix::Format::Gguf}, {"dat", imatrix::Format::Legacy}});
    if (!raw.precision.empty())
        job.precision = one_of<backend::Precision>(raw.precision, "--precision",
                                                   {{"auto", backend::Precision::Auto},
                                                    {"bf16", backend::Precision::Bf16},
                                                    {"f32", backend::Precision::F32}});
    if (!raw.isa.empty())
        job.isa = one_of<Isa>(raw.isa, "--isa",
                              {{"scalar", Isa::Scalar},
                               {"avx2", Isa::Avx2},
                               {"avx512", Isa::Avx512},
                               {"avx512bf16", Isa::Avx512Bf16},
                               {"amx", Isa::Amx}});
    if (!raw.device.empty()) job.device = device_name(raw.device);
    if (!raw.memory.empty()) job.memory_bytes = parse_size(raw.memory, "--memory");
    job.perplexity = !raw.no_ppl || raw.ppl;
    if (raw.no_escape) a.escape = false;
    if (raw.verbose) a.verbosity = 5;
    if (job.n_threads < 0) job.n_threads = 0;
}

void check(const Arguments& a) {
    const calibrate::Options& job = a.job;
    constexpr std::int64_t kMaxContext = std::int64_t{1} << 24;
    if (job.n_ctx <= 0 || job.n_ctx > kMaxContext)
        throw_error(ErrorKind::Usage, "--ctx-size",
                    "imatrix tool requires '--ctx-size' > 0 and at most {}, got {}", kMaxContext, job.n_ctx);
    if (job.save_every < 0 || job.snapshot_every < 0 || job.skip_chunks < 0 || job.wave_chunks < 0)
        throw_error(ErrorKind::Usage, "arguments",
                    "-ofreq, --save-frequency, --chunk and --wave take numbers of chunks from 0 on");
    if (a.json && a.csv) throw_error(ErrorKind::Usage, "--json", "excludes --csv");
}

Mode mode_of(const Raw& raw, const Arguments& a) {
    if (raw.help) return Mode::Help;
    if (raw.version) return Mode::Version;
    if (raw.statistics) {
        if (a.job.in_files.size() != 1)
            throw_error(
                ErrorKind::Usage, "--show-statistics",
                "a single imatrix file is required to compute tensor statistics, {} given with --in-file",
                a.job.in_files.size());
        return Mode::Statistics;
    }
    if (a.text_file || a.prompt) {
        if (a.job.model.empty())
            throw_error(ErrorKind::Usage, "--model", "is required to run a text through a model");
        return Mode::Calibrate;
    }
    if (a.job.in_files.empty())
        throw_error(ErrorKind::Usage, "arguments",
                    "No prompt provided and no precomputed matrices (--in-file) to combine.");
    return Mode::Merge;
}

}  // namespace

std::uint64_t parse_size(std::string_view text, std::string_view option) {
    const std::string copy(text);
    char* end = nullptr;
    const double number = std::strtod(copy.c_str(), &end);
    std::string_view suffix(end);
    double unit = 1;
    constexpr std::string_view kUnits = "kmgt";
    if (!suffix.empty()) {
        const auto at = kUnits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(suffix[0]))));
        if (at != std::string_view::npos) {
            unit = std::pow(1024.0, static_cast<double>(at) + 1);
            suffix.remove_prefix(1);
        }
    }
    if (suffix == "iB" || suffix == "B" || suffix == "b") suffix = {};
    if (end == copy.c_str() || !suffix.empty() || !(number > 0) || number * unit >= 0x1p63)
        throw_error(ErrorKind::Usage, option, "{} is no size, expected a number with k, m, g or t behind it",
                    text);
    return static_cast<std::uint64_t>(number * unit);
}

std::string unescape(std::string_view text) {
    constexpr std::array<std::pair<char, char>, 6> kCodes{
        {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'\'', '\''}, {'"', '"'}, {'\\', '\\'}}};
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            result += text[i];
            continue;
        }
        const auto* code = std::ranges::find(kCodes, text[i + 1], &std::pair<char, char>::first);
        if (code != kCodes.end()) {
            result += code->second;
            ++i;
        } else if (text[i + 1] == 'x' && i + 3 < text.size() &&
                   std::isxdigit(static_cast<unsigned char>(text[i + 2])) != 0 &&
                   std::isxdigit(static_cast<unsigned char>(text[i + 3])) != 0) {
            result += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
            i += 3;
        } else {
            result += text[i];
        }
    }
    return result;
}

Arguments parse_arguments(const std::vector<std::string>& words) {
    Arguments arguments;
    Raw raw;
    CLI::App app;
    add_options(app, arguments, raw);
    std::vector<std::string> kept = normalise(words, app, arguments);
    std::ranges::reverse(kept);  // CLI11 takes words from the back
    try {
        app.parse(kept);
    } catch (const CLI::ParseError& error) {
        throw Error(ErrorKind::Usage, "arguments", error.what());
    }
    arguments.job.save_every_given = app.get_option("--output-frequency")->count() > 0;
    arguments.n_ctx_given = app.get_option("--ctx-size")->count() > 0;
    interpret(raw, arguments);
    arguments.mode = mode_of(raw, arguments);
    if (arguments.mode != Mode::Help && arguments.mode != Mode::Version) check(arguments);
    return arguments;
}

void load_text(Arguments& arguments) {
    calibrate::Options& job = arguments.job;
    if (arguments.text_file) {
        job.text = read_file(*arguments.text_file);
        job.dataset = arguments.text_file->string();
        if (!arguments.text_is_raw && job.text.ends_with('\n')) job.text.pop_back();
    } else {
        job.text = arguments.prompt.value_or("");
    }
    if (arguments.escape && !arguments.text_is_raw) job.text = unescape(job.text);
    if (job.text.empty())
        throw_error(ErrorKind::Usage, arguments.text_file ? arguments.text_file->string() : "--prompt",
                    "the text is empty, there is nothing to calibrate on");
}

}  // namespace assay::cli
