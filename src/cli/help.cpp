#include "cli/help.h"

#include <fmt/format.h>

#include "cli/version.h"
#include "core/error.h"

namespace assay::cli {

namespace {

constexpr std::string_view kCalibrate =
    R"(assay - importance matrices for quantising language models in GGUF form

usage: assay [calibrate] -m MODEL -f TEXT [options]     run a text, write a matrix
       assay --in-file A,B [-o OUT]                     merge or convert matrices
       assay --in-file A --show-statistics              print statistics of one
       assay tokenize | inspect | stats | similarity | report | recipe | sensitivity | devices ...
                                                        (each has --help)

model and text
  -m,  --model FILE          model to run (the first part of a split one)
  -okv, --override-kv KEY=TYPE:VALUE,...  metadata in place of the model's; TYPE is int, float, bool or str
       --rope-freq-base X, --rope-scale X, --rope-freq-scale X, --rope-scaling none|linear|yarn,
       --yarn-orig-ctx N     the same for the rotary settings
  -f,  --file FILE           calibration text; one trailing line feed is dropped
  -bf, --binary-file FILE    the same, but the bytes stay as they are
  -p,  --prompt TEXT         the text itself
  -e,  --escape              replace \n, \t, \\ ... in the text; --no-escape (default) does not
  -c,  --ctx-size N          tokens per chunk (512)
       --parse-special       texts of special tokens become these tokens
       --chunk, --from-chunk N  leave out the first N chunks (0)
       --chunks N            at most N chunks (-1: all)

what is collected and kept
  -o,  --output, --output-file FILE   where to write (imatrix.gguf)
       --output-format FORMAT  gguf or dat; by default .gguf is GGUF and other names are legacy
  -ofreq, --output-frequency N  write the file every N chunks (10; 0: only at the end)
       --save-frequency N    also keep a copy FILE.at_N every N chunks (0: never)
       --in-file FILES       start from these matrices; a comma between names, or several times
       --process-output      collect the output matrix too
       --output-tensor-name NAME  which one that is (output.weight)
       --ppl, --no-ppl       compute the perplexity (default) or not
  -lsim, --layer-similarity  how much each layer turns the hidden state
       --show-statistics     print statistics of the one --in-file and end
       --report FILE         write a page about the result (HTML, needs no network)
       --json, --csv         numbers on standard output in this form

how it is run
  -t,  --threads N           threads (one per core); -tb, --threads-batch wins over it
  -dev, --device NAMES       auto, cpu, cuda (every GPU), cuda:N or a list of these (auto)
  -ngl, --gpu-layers, --n-gpu-layers N  0 is --device cpu; others leave it to the plan
  -sm, --split-mode MODE     none: one GPU, -mg, --main-gpu N of the list (0); others: all of them
       --precision P         auto, bf16 or f32: of the products (auto)
       --isa LEVEL           scalar, avx2, avx512, avx512bf16 or amx: use no more than this
       --wave N              chunks that go through the layers together (0: by memory)
       --memory SIZE         bound on memory, like 24g (what is free)
       --spill DIR           hidden states that do not fit go to a file here, so that one reading of a model
                             larger than memory is enough
       --device-memory SIZE  bound on each GPU's memory (what is free)

messages
  -lv, --verbosity, --log-verbosity N  0 results, 1 errors, 2 warnings, 3 progress, 4 all (3)
  -v,  --verbose, --log-verbose  everything
       --log-disable         errors only
  -h,  --help, --usage       this text
       --version             the version
       --list-devices        what can compute here

Other options of llama-imatrix are accepted; a warning says why each has no effect. LLAMA_ARG_MODEL,
LLAMA_ARG_CTX_SIZE, LLAMA_ARG_THREADS, LLAMA_ARG_DEVICE, LLAMA_ARG_N_GPU_LAYERS and
LLAMA_ARG_LOG_VERBOSITY stand in for options that are not given.

Results go to standard output, everything else to standard error. Ctrl-C saves the chunks that are complete,
and so does a terminal that goes away; a second Ctrl-C ends at once. The exit code is 0, 1 after an error,
130 after Ctrl-C.

examples
  assay -m model-f16.gguf -f calibration.txt -o model.imatrix.gguf
  assay -m model-f16.gguf -f more.txt --in-file model.imatrix.gguf -o both.imatrix.gguf
  assay -m experts.gguf -f calibration.txt -okv qwen3moe.expert_used_count=int:16
  assay --in-file old.dat -c 512 -o new.gguf
  assay --in-file a.gguf,b.gguf -o sum.gguf
)";

constexpr std::string_view kTokenize = R"(usage: assay tokenize -m MODEL -f FILE [options]

Prints the ids of a text, one a line. Of a file every byte counts; a calibration leaves out one trailing
line feed.

  -m,  --model FILE        whose vocabulary
  -okv, --override-kv KEY=TYPE:VALUE,...  metadata in place of the model's
  -f,  --file FILE         text
  -p,  --prompt TEXT       the text itself
       --parse-special     texts of special tokens become these tokens
       --no-bos            add no special tokens at the ends
  -h,  --help, --usage     this text

example
  assay tokenize -m model.gguf -f text.txt | wc -l
)";

constexpr std::string_view kInspect = R"(usage: assay inspect FILE [--json]

Shows metadata, tensors, types and sizes of a model or a matrix. Long arrays are shortened, --json has them
whole.

      --json           as JSON
  -h, --help, --usage  this text

example
  assay inspect model.gguf | grep block_count
)";

constexpr std::string_view kStats = R"(usage: assay stats FILE [--json | --csv]

Statistics of a matrix: how the energy of each weight's input is spread over its columns, by weight and by
layer, and whether every weight and expert has seen enough of the text.

      --json           as JSON, with more figures
      --csv            the weights as comma-separated values
  -h, --help, --usage  this text

example
  assay stats imatrix.gguf
)";

constexpr std::string_view kSimilarity = R"(usage: assay similarity FILE [--json]

Layers sorted by how much they turn the hidden state, from a matrix made with -lsim.

      --json           as JSON
  -h, --help, --usage  this text

example
  assay -m model.gguf -f text.txt -lsim && assay similarity imatrix.gguf
)";

constexpr std::string_view kRecipe =
    R"(usage: assay recipe [MATRIX] -m MODEL --target-bpw N | --target-size SIZE [options]

Chooses a storage type for each tensor so that the importance-weighted error of the weights is least under the
budget, by really rounding them, and prints the command lines for both quantisers.

  -m, --model FILE          the model to be quantised
  --target-bpw N            bits per weight of the whole
  --target-size SIZE        or its size: a number with k, m, g or t behind it
  --keep REGEX=TYPE         tensors that match keep this type; may be repeated
  --types A,B,...           the types to choose from
  --sensitivity FILES       what `assay sensitivity -o` measured: parts of the model weigh by it. With it
                            MATRIX may be left out; several files (by layer, by kind) are fitted together
  --exact                   measure every row instead of a sample
  --merge-tolerance X       how much error merging neighbouring layers into one rule may add
  --rules FILE              where the rules go (tensor-types.txt)
  -o, --output FILE         name of the quantised model in the printed commands (quantised.gguf)
  -t, --threads N           threads (one per core)

  assay recipe imatrix.gguf -m model-f16.gguf --target-bpw 4.5
)";

constexpr std::string_view kSensitivity =
    R"(usage: assay sensitivity -m MODEL -f TEXT --type TYPE[,TYPE ...] [options]

Rounds one part of the model at a time and tells what that does to its predictions: the mean divergence
KL(model || rounded) of the next-token distributions in nats, and the change of the perplexity, each with one
standard error of the paired difference. The model and all variants go through the layers together, so the
weights are read once, or as few times as memory allows.

  --type TYPES              round to these types, like q4_K,q5_0
  --by layer|kind|tensor    what is rounded at a time (layer)
  --imatrix FILE            importance for the rounding, as a quantiser would use it
  -o, --output FILE         also write the result as JSON; assay recipe --sensitivity reads it
  --json, --csv             the table in this form

As for a calibration: -m, -f, -bf, -p, -e, -c, --parse-special, --chunk, --chunks, -t, --device, -ngl,
--precision, --isa, -okv, --memory, -lv, -v, --log-disable. With Ctrl-C the table is about the chunks that are
complete.

example
  assay sensitivity -m model-f16.gguf -f text.txt --type q4_0 --by kind --chunks 20 -o kinds.json
)";

constexpr std::string_view kDevices = R"(usage: assay devices

Lists what can compute here, under the names that --device takes.

  -h, --help, --usage  this text
)";

constexpr std::string_view kReport = R"(usage: assay report FILE [FILE ...] [-o PAGE]

One page about a matrix; with several, the first is compared with each of the others. The page needs no
network. With the model it also tells which weights lack data, and with a target the recipe is in it.

  -m, --model FILE                  the model that the matrices are of
  --target-bpw N, --target-size SIZE, --keep, --types, --exact, --merge-tolerance, -t
                                    as in assay recipe, from the first matrix
  -o, --output, --output-file PAGE  where to write (report.html)
  -h, --help, --usage               this text

example
  assay report imatrix.gguf other.gguf -o report.html
  assay report imatrix.gguf -m model-f16.gguf --target-bpw 4.5 -o report.html
)";

}  // namespace

std::string help_text(std::string_view command) {
    if (command == "calibrate") return std::string(kCalibrate);
    if (command == "tokenize") return std::string(kTokenize);
    if (command == "inspect") return std::string(kInspect);
    if (command == "stats") return std::string(kStats);
    if (command == "similarity") return std::string(kSimilarity);
    if (command == "report") return std::string(kReport);
    if (command == "recipe") return std::string(kRecipe);
    if (command == "sensitivity") return std::string(kSensitivity);
    if (command == "devices") return std::string(kDevices);
    throw_error(ErrorKind::Internal, command, "has no help");
}

std::string version_text() { return fmt::format("assay {}\n", kVersion); }

}  // namespace assay::cli
