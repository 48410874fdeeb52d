#include "cli/foreign_options.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace assay::cli {

namespace {

constexpr std::string_view kBatch = "chunks are grouped by memory; results do not depend on it";
constexpr std::string_view kPlaced = "where weights are kept is planned from the memory there is";
constexpr std::string_view kCache = "a chunk is evaluated at once, there is no key-value cache";
constexpr std::string_view kAttention = "there is one attention, exact for every model";
constexpr std::string_view kLoading = "the file is mapped and read ahead, layer by layer";
constexpr std::string_view kScheduling = "threads are not spun or bound; the system places them";
constexpr std::string_view kSampling = "nothing is sampled in a calibration";
constexpr std::string_view kFusion = "fused or not, every weight gets its data";
constexpr std::string_view kLogging = "messages go to stderr in one form";
constexpr std::string_view kServer = "it belongs to another program of the family";
constexpr std::string_view kModelChange =
    "it would calibrate another model than the file describes, and is not supported";
constexpr std::string_view kDownload = "models are not downloaded; give a local file with -m";
constexpr std::string_view kDraft =
    "draft models are not calibrated beside another model; give the draft model with -m";

using enum Values;

const std::vector<ForeignOption>& table() {
    static const std::vector<ForeignOption> options{
        {{"-b", "--batch-size", "-ub", "--ubatch-size"}, One, kBatch},
        {{"-np", "--parallel", "-ns", "--sequences"}, One, kBatch},
        {{"-cb", "--cont-batching", "-nocb", "--no-cont-batching"}, None, kBatch},
        {{"-ngl", "--gpu-layers", "--n-gpu-layers"}, One, kPlaced},
        {{"-ngld", "--gpu-layers-draft", "--n-gpu-layers-draft"}, One, kPlaced},
        {{"-sm", "--split-mode", "-ts", "--tensor-split", "-mg", "--main-gpu"}, One, kPlaced},
        {{"-ot", "--override-tensor", "-otd", "--override-tensor-draft"}, One, kPlaced},
        {{"-cmoe", "--cpu-moe", "-cmoed", "--cpu-moe-draft"}, None, kPlaced},
        {{"-ncmoe", "--n-cpu-moe", "-ncmoed", "--n-cpu-moe-draft"}, One, kPlaced},
        {{"-fit", "--fit"}, Optional, kPlaced},
        {{"-fitt", "--fit-target", "-fitc", "--fit-ctx", "--fit-margin", "-gfm"}, One, kPlaced},
        {{"-op-offload", "--op-offload", "--no-op-offload", "-nopo"}, None, kPlaced},
        {{"--rpc", "-rtr-threads"}, One, kPlaced},
        {{"-nkvo", "--no-kv-offload", "-kvo", "--kv-offload", "--kv-unified", "-kvu", "--no-kv-unified"},
         None,
         kCache},
        {{"-ctk", "--cache-type-k", "-ctv", "--cache-type-v", "-ctkd", "--cache-type-k-draft", "-ctvd",
          "--cache-type-v-draft"},
         One,
         kCache},
        {{"-dt", "--defrag-thold", "--keep", "--cache-reuse", "--swa-checkpoints"}, One, kCache},
        {{"--swa-full", "--no-context-shift", "--context-shift"}, None, kCache},
        {{"-khad", "--k-cache-hadamard", "-vhad", "--v-cache-hadamard"}, None, kCache},
        {{"-fa", "--flash-attn"}, Optional, kAttention},
        {{"-no-fa", "--no-flash-attn"}, None, kAttention},
        {{"-mla", "--mla-use", "-amb", "--attention-max-batch"}, One, kAttention},
        {{"--attention", "--pooling"}, One, kAttention},
        {{"-fmoe",    "--fused-moe",
          "-no-fmoe", "--no-fused-moe",
          "-fug",     "--fused-up-gate",
          "-no-fug",  "--no-fused-up-gate",
          "-mqkv",    "--merge-qkv",
          "-muge",    "--merge-up-gate-experts",
          "-ger",     "--grouped-expert-routing",
          "-no-ger",  "-gr",
          "-no-gr",   "-grt",
          "-fmmvq",   "-no-fmmvq"},
         None,
         kFusion},
        {{"-ser", "--smart-expert-reduction"}, One, "every chosen expert is evaluated"},
        {{"-rtr", "--run-time-repack", "--repack", "-nr", "--no-repack"},
         None,
         "weights are always packed for the processor"},
        {{"-thp", "--transparent-huge-pages", "--mmap", "--no-mmap", "--mlock", "-dio", "--direct-io",
          "-ndio", "--no-direct-io", "--defer-experts", "--prefetch-experts", "--no-host"},
         None,
         kLoading},
        {{"-lm", "--load-mode"}, One, kLoading},
        {{"--numa"}, One, kScheduling},
        {{"--threads-batch", "--threads-draft", "-td", "--threads-batch-draft", "-tbd"},
         One,
         "there is one pool of threads, see -t"},
        {{"-C", "--cpu-mask", "-Cr", "--cpu-range", "--cpu-strict", "--prio", "--poll", "-Cb",
          "--cpu-mask-batch", "-Crb", "--cpu-range-batch", "--cpu-strict-batch", "--prio-batch",
          "--poll-batch"},
         One,
         kScheduling},
        {{"--perf", "--no-perf", "--warmup", "--no-warmup", "--check-tensors"},
         None,
         "it does not apply here"},
        {{"-s",
          "--seed",
          "--samplers",
          "--sampling-seq",
          "--sampler-seq",
          "--temp",
          "--temperature",
          "--top-k",
          "--top-p",
          "--min-p",
          "--top-n-sigma",
          "--xtc-probability",
          "--xtc-threshold",
          "--typical",
          "--typical-p",
          "--tfs",
          "--repeat-last-n",
          "--repeat-penalty",
          "--presence-penalty",
          "--frequency-penalty",
          "--dry-multiplier",
          "--dry-base",
          "--dry-allowed-length",
          "--dry-penalty-last-n",
          "--dry-sequence-breaker",
          "--adaptive-target",
          "--adaptive-decay",
          "--dynatemp-range",
          "--dynatemp-exp",
          "--mirostat",
          "--mirostat-lr",
          "--mirostat-ent",
          "-l",
          "--logit-bias",
          "--grammar",
          "--grammar-file",
          "-j",
          "--json-schema",
          "-jf",
          "--json-schema-file",
          "-n",
          "--predict",
          "--n-predict"},
         One,
         kSampling},
        {{"--ignore-eos", "-bs", "--backend-sampling", "--penalize-nl"}, None, kSampling},
        {{"--log-file"}, One, kLogging},
        {{"--log-colors"}, Optional, kLogging},
        {{"--log-disable", "--log-enable", "--log-prefix", "--no-log-prefix", "--log-timestamps",
          "--no-log-timestamps", "--log-new", "--log-append", "--log-test", "--verbose-prompt", "-cr",
          "--color"},
         None,
         kLogging},
        {{"--in-prefix", "--in-suffix", "-sys", "--system-prompt", "-r", "--reverse-prompt",
          "--chat-template", "--cache-list", "--reasoning-format", "--alias", "-a"},
         One,
         kServer},
        {{"-i", "--interactive", "-cnv", "--conversation", "--in-prefix-bos", "--special", "-sp", "--jinja",
          "--no-jinja", "--completion-bash", "--no-display-prompt"},
         None,
         kServer},
        {{"--rope-scaling",
          "--rope-scale",
          "--rope-freq-base",
          "--rope-freq-scale",
          "--yarn-orig-ctx",
          "--yarn-ext-factor",
          "--yarn-attn-factor",
          "--yarn-beta-slow",
          "--yarn-beta-fast",
          "--override-kv",
          "-okv",
          "--lora",
          "--lora-scaled",
          "--lora-base",
          "--control-vector",
          "--control-vector-scaled",
          "--control-vector-layer-range",
          "-gan",
          "--grp-attn-n",
          "-gaw",
          "--grp-attn-w"},
         One,
         kModelChange,
         true},
        {{"-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-hft", "--hf-token", "-hfv", "-hfrv",
          "--hf-repo-v", "-hffv", "--hf-file-v", "-mu", "--model-url", "-dr", "--docker-repo", "-hfd",
          "-hfrd", "--hf-repo-draft"},
         One,
         kDownload,
         true},
        {{"--offline"}, None, "nothing is downloaded"},
        {{"-md", "--model-draft", "--output-draft", "--draft-output", "--draft-output-file"},
         One,
         kDraft,
         true},
        {{"--mmproj", "-mm"}, One, "images are not part of a calibration text", true},
    };
    return options;
}

}  // namespace

std::span<const ForeignOption> foreign_options() { return table(); }

const ForeignOption* find_foreign(std::string_view name) {
    for (const ForeignOption& option : table())
        if (std::ranges::find(option.names, name) != option.names.end()) return &option;
    return nullptr;
}

bool is_optional_value(std::string_view word) noexcept {
    constexpr std::array<std::string_view, 9> kWords{"on",      "off",      "auto", "true", "false",
                                                     "enabled", "disabled", "0",    "1"};
    return std::ranges::find(kWords, word) != kWords.end();
}

}  // namespace assay::cli
