#include "cli/help.h"

#include <assay_version.h>

namespace assay::cli {

std::string version_text() { return "assay " ASSAY_VERSION "\n"; }

std::string help_text() {
    return R"(assay measures which weights of a language model matter: it runs a text through a GGUF model and writes the
importance matrix that quantisers use. It takes the options of llama-imatrix.

  assay -m MODEL -f TEXT [options]               calibrate
  assay --in-file A --in-file B -o OUT           merge (no model needed)
  assay --in-file A -o OUT [--output-format F]   convert
  assay stats FILE [--json|--csv]                statistics of a matrix
  assay similarity FILE [--json]                 layer similarity stored by -lsim
  assay report FILE [FILE ...] [-o out.html]     one page about one matrix, or several compared
  assay tokenize -m MODEL -f TEXT [--parse-special] [--no-bos]
  assay inspect FILE [--json]                    what a model or a matrix holds
  assay devices                                  what can compute here

Input
  -m, --model FILE            GGUF model; of a split model the first part
  -f, --file FILE             calibration text; one newline at its end is dropped
  -bf, --binary-file FILE     the same, nothing dropped
  -p, --prompt TEXT           text on the command line
  -e, --escape                \n, \t, \\, \", \xHH in the text are characters
  --parse-special             special tokens in the text become token ids
  --in-file FILE[,FILE...]    matrices to add to; may be repeated
  -c, --ctx-size N            tokens of a chunk (512)
  --chunk, --from-chunk N     skip the first N chunks of the text
  --chunks N                  at most N chunks (all)

Output
  -o, --output-file FILE      matrix (imatrix.gguf); any suffix but .gguf means the legacy format
  --output-format gguf|dat    the format, whatever the suffix
  -ofreq, --output-frequency N  save every N chunks (10; 0: only at the end)
  --save-frequency N          also keep a copy FILE.at_N every N chunks
  --process-output            collect for the output projection too
  --output-tensor-name NAME   its name (output.weight)
  --no-ppl                    no perplexity
  -lsim, --layer-similarity   how much each layer changes its input
  --report FILE               a page about the result
  --show-statistics           print statistics of one --in-file [--json|--csv]

Computing
  -t, --threads N             threads (all processors)
  --device D                  auto, cpu, cuda or cuda:N
  --precision P               auto, bf16 or f32 (auto: bf16 where the hardware has it; f32 is the reference)
  --memory SIZE               bound on this process, e.g. 12G (80 % of what is free)
  --wave N                    chunks that go through the model together (by memory)
  --isa LEVEL                 scalar, avx2, avx512, avx512bf16 or amx at most

Messages
  -lv, --verbosity N          0 results only, 1 errors, 2 warnings, 3 information (3)
  -h, --help                  this text
  --version

Options of llama.cpp and ik_llama.cpp that have no effect here (-ngl, -b, -fa, ...) are accepted with a warning.
Results go to standard output, everything else to standard error; the exit code is 0, or 1 after an error.

Examples
  assay -m model-f16.gguf -f calibration.txt -o imatrix.gguf
  assay -m model-f16.gguf -f calibration.txt --chunks 200 -c 1024 --process-output --report report.html
  assay -m model-f16.gguf -f more.txt --in-file imatrix.gguf -o imatrix2.gguf
  assay --in-file imatrix.gguf --output-format dat -o imatrix.dat
  assay stats imatrix.gguf
)";
}

}  // namespace assay::cli
