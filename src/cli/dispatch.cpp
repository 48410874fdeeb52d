#include "cli/dispatch.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"
#include "core/error.h"

namespace assay::cli {

namespace {

constexpr std::size_t kMany = SIZE_MAX;

constexpr Command kCommands[] = {
    {"calibrate", kCalibrate, R"([calibrate] -m MODEL -f TEXT [options]     run a text, write a matrix
       assay --in-file A,B [-o OUT]                     merge or convert matrices
       assay --in-file A --show-statistics              print statistics of one
       assay merge | text | tokenize | inspect | stats | similarity | report | recipe |
                   sensitivity | kld | devices
                                                        (each has --help))",
     "Importance matrices for quantising language models in GGUF form.",
     R"(Other options of llama-imatrix are accepted where no result depends on them; a warning says why each has no
effect. Variables of the environment, in brackets above, stand in for options that are not given. A list has
commas between its parts; a part with a comma in it is put in quotes: '"a,b.gguf",c.gguf'.

Results go to standard output, everything else to standard error. A run keeps its state every two minutes, and
Ctrl-C, SIGTERM or a terminal that goes away end it with its state kept: the same command with --resume goes
on. A second Ctrl-C ends at once. The exit code is 0, 1 after an error, 130 after Ctrl-C, 143 after SIGTERM.

examples
  assay -m model-f16.gguf -f calibration.txt -o model.imatrix.gguf
  assay -m model-f16.gguf -f calibration.txt -o model.imatrix.gguf --resume
  assay -m model-f16.gguf -f more.txt --in-file model.imatrix.gguf -o both.imatrix.gguf
  assay -m experts.gguf -f calibration.txt -okv qwen3moe.expert_used_count=int:16
  assay --in-file old.dat -c 512 -o new.gguf
  assay --in-file a.gguf,b.gguf -o sum.gguf
)",
     0, 0, "files with -m, -f and --in-file", calibrate_command},
    {"tokenize tokenise", kTokenize, "tokenize -m MODEL -f FILE [options]",
     R"(Prints the ids of a text, one a line. Of a file every byte counts; a calibration leaves out one trailing
line feed.)",
     R"(example
  assay tokenize -m model.gguf -f text.txt | wc -l
)",
     0, 0, "files with -m and -f", tokenize_command},
    {"text", kText, "text -m MODEL -f FILE [options]",
     R"(Tells what a run would see of a text, without running it: documents and chunks, who speaks, in which writing
systems, how long, what is cut or dropped, and special tokens that are written in contents. No weight is read.)",
     R"(examples
  assay text -m model.gguf -f conversations.jsonl -c 4096
  assay text -m model.gguf -f stories.txt --split-on '\n---\n'
)",
     0, 0, "files with -m and -f", text_command},
    {"inspect", kInspect, "inspect FILE [--json | --program [--layer N] [-c N] | -m MODEL]",
     R"(Shows metadata, tensors, types and sizes of a model or a matrix. Long arrays are shortened, --json has them
whole. With --program it shows what a run would do with the model, without running it. Of a matrix it also
tells which experts the text has reached, and with -m what it has for each tensor of the model.)",
     R"(examples
  assay inspect model.gguf | grep block_count
  assay inspect model.gguf --program --layer 0
)",
     1, 1, "one file", inspect_command},
    {"merge", kMerge, "merge FILE [FILE ...] [-o OUT]",
     R"(Adds matrices up. Files that were made with --output-format exact know which chunks of which run they hold:
parts of one run become, byte for byte, what one run over all their chunks would have written. Chunks that
none has are named; such that two have are refused.)",
     R"(example
  assay -m model.gguf -f text.txt --chunks 100 --output-format exact -o a.gguf
  assay -m model.gguf -f text.txt --chunk 100 --output-format exact -o b.gguf
  assay merge a.gguf b.gguf -o imatrix.gguf
)",
     1, kMany, "one or more matrices", merge_matrices},
    {"stats statistics", kStats, "stats FILE [--json | --csv]",
     R"(Statistics of a matrix: how the energy of each weight's input is spread over its columns, by weight and by
layer, and whether every weight and expert has seen enough of the text.)",
     R"(example
  assay stats imatrix.gguf
)",
     1, 1, "one matrix", stats_command},
    {"recipe", kRecipe, "recipe [MATRIX] -m MODEL --target-bpw N | --target-size SIZE [options]",
     R"(Chooses a storage type for each tensor so that the importance-weighted error of the weights is least under
the budget, by really rounding them, and prints the command lines for both quantisers.)",
     R"(example
  assay recipe imatrix.gguf -m model-f16.gguf --target-bpw 4.5
)",
     0, 1, "a matrix, a model and a target; --sensitivity FILES may stand for the matrix", recipe_command},
    {"sensitivity", kSensitivity, "sensitivity -m MODEL -f TEXT --type TYPE[,TYPE ...] [options]",
     R"(Rounds one part of the model at a time and tells what that does to its predictions: the mean divergence
KL(model || rounded) of the next-token distributions in nats, and the change of the perplexity, each with one
standard error of the paired difference. The model and all variants go through the layers together, so the
weights are read once, or as few times as memory allows. With Ctrl-C the table is about the chunks that are
complete.)",
     R"(example
  assay sensitivity -m model-f16.gguf -f text.txt --type q4_0 --by kind --chunks 20 -o kinds.json
)",
     0, 0, "a model, a text and a type", sensitivity_command},
    {"kld", kKld, "kld BASE FILE [FILE ...] -f TEXT [options]",
     R"(Tells how far quantised files of a model predict otherwise than its base file: for each its perplexity and
the logarithm of its ratio to the base's, the divergence KL(base || file) of the next-token distributions in
nats with quantiles over the positions, the root mean square of the change of the probability of the text's
token (dp), and the share of positions where both find the same token the likeliest. Then the same of each two
files against each other. Errors are standard errors; those of differences are paired. All files go through
the layers together, so the text is computed once for each and no logits are stored. With Ctrl-C the table is
about the chunks that are complete.)",
     R"(Operands of products are rounded to bf16 where the hardware has that, which adds some 5e-4 nats to small
divergences; --precision f32 does not.

example
  assay kld model-bf16.gguf model-Q8_0.gguf model-Q4_K_M.gguf model-IQ2_XXS.gguf -f text.txt --chunks 20
)",
     2, kMany, "a base and one or more files to compare with it", kld_command},
    {"similarity", kSimilarity, "similarity FILE [--json]",
     "Layers sorted by how much they turn the hidden state, from a matrix made with -lsim.",
     R"(example
  assay -m model.gguf -f text.txt -lsim && assay similarity imatrix.gguf
)",
     1, 1, "one matrix", similarity_command},
    {"report", kReport, "report FILE [FILE ...] [-o PAGE]",
     R"(One page about a matrix; with several, the first is compared with each of the others. The page needs no
network. With the model it also tells which weights lack data, and with a target the recipe from the first
matrix is in it.)",
     R"(examples
  assay report imatrix.gguf other.gguf -o report.html
  assay report imatrix.gguf -m model-f16.gguf --target-bpw 4.5 -o report.html
)",
     1, kMany, "one or more matrices", report_command},
    {"devices", kDevices, "devices", "Lists what can compute here, under the names that --device takes.", "",
     0, 0, "nothing", devices_command},
};

int run(const Command& command, const Words& words) {
    const Arguments arguments = parse_arguments(words, command.bit);
    if (arguments.help) {
        print(help_text(command));
        return 0;
    }
    if (arguments.files.size() > command.most && command.most == 0)
        throw_error(ErrorKind::Usage, arguments.files.front(), "unexpected word; {} takes {}", command.name(),
                    command.takes);
    if (arguments.files.size() < command.least || arguments.files.size() > command.most)
        throw_error(ErrorKind::Usage, command.name(), "takes {}: assay {}", command.takes, command.usage);
    if (arguments.verbosity >= Verbosity::Warnings) warn(arguments.warnings);
    return command.run(arguments);
}

}  // namespace

std::span<const Command> commands() noexcept { return kCommands; }

int dispatch(const Words& words) {
    if (words.empty() || words.front().starts_with('-')) return run(kCommands[0], words);
    if (words.front() == "help") return run(kCommands[0], {"--help"});
    std::string known;
    for (const Command& command : kCommands) {
        bool named = false;
        for_each_name(command, [&](std::string_view name) { named = named || name == words.front(); });
        if (named) return run(command, Words(words.begin() + 1, words.end()));
        known += fmt::format("{}{}", known.empty() ? "" : ", ", command.name());
    }
    throw_error(ErrorKind::Usage, words.front(), "unknown command; there are {}", known);
}

}  // namespace assay::cli
