// Options of the peers (llama-imatrix of llama.cpp and of ik_llama.cpp, 2026-10) that do not work here. An
// option may be accepted only if no result depends on it; each says why, or why it is refused.
#include <limits>

#include "cli/arguments.h"
#include "cli/option.h"
#include "core/error.h"

namespace assay::cli {

namespace {

// Why an option has no effect: each says what makes every result independent of it. Read after "NAME has no
// effect: ".
constexpr std::string_view kBatch = "results do not depend on how tokens are batched; see --wave";
constexpr std::string_view kThreadPlacement =
    "threads take their places by themselves, among the processors that taskset or numactl leave";
constexpr std::string_view kPlacement =
    "layers go to the device one after another, as its memory allows and the plan line says; "
    "see --device and --device-memory";
constexpr std::string_view kDealt = "chunks are dealt evenly to the devices; --device chooses which";
constexpr std::string_view kLoading = "weights are read ahead layer by layer, as memory allows; see --memory";
constexpr std::string_view kAttention = "attention is computed exactly, in f32 or bf16; see --precision";
constexpr std::string_view kCache =
    "no key/value cache is kept, so nothing in one is rounded: each chunk is evaluated at once";
constexpr std::string_view kKernels = "every observed product gets its data, however the arithmetic is done";
constexpr std::string_view kSampling = "nothing is generated";
constexpr std::string_view kDraft = "nothing is generated, so nothing is drafted";
constexpr std::string_view kLogging = "messages go to stderr as plain text; redirect it to keep them";
constexpr std::string_view kChat = "nobody chats with the model here";
constexpr std::string_view kServer = "this is not a server";
constexpr std::string_view kOther = "it belongs to another program";
constexpr std::string_view kMedia = "only text is read";
constexpr std::string_view kNoNetwork = "the network is never used";
constexpr std::string_view kModels = "a value below 0 is the model's";

// Why it is refused: what it asks for cannot be done, or would give another matrix. Read after "NAME: ".
constexpr std::string_view kDownload =
    "models are not downloaded; fetch the .gguf file (every part of a split model) and give it with -m FILE";
constexpr std::string_view kRpc = "remote devices are not supported; run on the machine that has the device";
constexpr std::string_view kShell = "there is no list to print";
constexpr std::string_view kAdapter =
    "adapters are not applied: merge it into the model file, and measure that one";
constexpr std::string_view kControl =
    "control vectors are not applied; what is measured is the model file as it is";
constexpr std::string_view kExperts = "experts are chosen as the model says, and no others";
constexpr std::string_view kSparse = "attention is computed over all tokens, as the model was trained";
constexpr std::string_view kAhead =
    "blocks that predict ahead go into the same matrix, with --nextn or --model-draft";

/// YaRN's settings below 0 are the model's.
void leave_to_model(Arguments&, const Value& v) {
    if (parse_real(v.option, v.text, std::numeric_limits<double>::lowest()) >= 0)
        throw Error(ErrorKind::Usage, v.option,
                    "this part of YaRN is taken from the model file; --override-kv changes it where the "
                    "architecture has a key for it");
}
void causal_only(Arguments&, const Value& v) {
    if (v.text != "causal")
        throw_error(ErrorKind::Usage, v.option, "attention is causal, '{}' would give another matrix",
                    v.text);
}

constexpr Option ignored(std::string_view names, std::string_view value, std::string_view reason,
                         void (*check)(Arguments&, const Value&) = nullptr, std::string_view variable = {}) {
    return {names, value, reason, check, kCalibrate, Section::Machine, variable, Fate::Ignored};
}
constexpr Option refused(std::string_view names, std::string_view reason) {
    return {names, "X", reason, nullptr, kCalibrate, Section::Machine, {}, Fate::Refused};
}

// clang-format off
constexpr Option kOptions[] = {
    // Models that are not on this machine, devices that are not in it
    refused("--hf-repo -hf -hfr", kDownload),
    refused("--hf-file -hff", kDownload),
    refused("--model-url -mu", kDownload),
    refused("--docker-repo -dr", kDownload),
    refused("--rpc", kRpc),
    refused("--cache-list -cl", kShell),
    refused("--completion-bash", kShell),
    refused("--dry-run", "use `assay inspect` to look at a model without running it"),
    ignored("--hf-token -hft", "X", kNoNetwork),
    ignored("--offline", "", kNoNetwork),

    // What would give another matrix, unless its value is the one that is used
    refused("--lora", kAdapter),
    refused("--lora-scaled", kAdapter),
    ignored("--lora-init-without-apply", "", "no adapter is applied"),
    refused("--control-vector", kControl),
    refused("--control-vector-scaled", kControl),
    refused("--control-vector-layer-range", kControl),
    refused("--smart-expert-reduction -ser", kExperts),
    refused("--no-grouped-expert-routing -no-ger", kExperts),
    ignored("--grouped-expert-routing -ger", "", "experts are chosen as the model says, by groups where it has them"),
    refused("--dsa -dsa", kSparse),
    refused("--dsa-top-k -dsatk", kSparse),
    refused("--fused-indexer-topk -fidx", kSparse),
    ignored("--attention", "X", "attention is causal", causal_only),
    ignored("--yarn-ext-factor", "X", kModels, leave_to_model, "LLAMA_ARG_YARN_EXT_FACTOR"),
    ignored("--yarn-attn-factor", "X", kModels, leave_to_model, "LLAMA_ARG_YARN_ATTN_FACTOR"),
    ignored("--yarn-beta-slow", "X", kModels, leave_to_model, "LLAMA_ARG_YARN_BETA_SLOW"),
    ignored("--yarn-beta-fast", "X", kModels, leave_to_model, "LLAMA_ARG_YARN_BETA_FAST"),
    refused("--multi-token-prediction -mtp", kAhead),
    ignored("--no-multi-token-prediction -no-mtp", "", kAhead),
    refused("--output-draft --draft-output --draft-output-file", kAhead),
    refused("--hf-repo-draft -hfd -hfrd", kDownload),

    // Batches, threads
    ignored("--batch-size -b", "X", kBatch),
    ignored("--ubatch-size -ub", "X", kBatch),
    ignored("--parallel -np", "X", kBatch),
    ignored("--sequences -ns", "X", kBatch),
    ignored("--worst-graph-tokens -wgt", "X", kBatch),
    ignored("--warmup", "", "there is no warm-up run"),
    ignored("--no-warmup", "", "there is no warm-up run"),
    ignored("--warmup-batch -wb", "", "there is no warm-up run"),
    ignored("--cpu-mask -C", "X", kThreadPlacement),
    ignored("--cpu-range -Cr", "X", kThreadPlacement),
    ignored("--cpu-strict", "X", kThreadPlacement),
    ignored("--prio", "X", kThreadPlacement),
    ignored("--poll", "X", kThreadPlacement),
    ignored("--cpu-mask-batch -Cb", "X", kThreadPlacement),
    ignored("--cpu-range-batch -Crb", "X", kThreadPlacement),
    ignored("--cpu-strict-batch", "X", kThreadPlacement),
    ignored("--prio-batch", "X", kThreadPlacement),
    ignored("--poll-batch", "X", kThreadPlacement),
    ignored("--numa", "X", kThreadPlacement),
    ignored("--threads-mtmd -tm", "X", kMedia),
    ignored("--threads-draft -td", "X", kDraft),
    ignored("--threads-batch-draft -tbd", "X", kDraft),
    ignored("--threads-http", "X", kServer),

    // Where weights lie
    ignored("--override-tensor -ot", "X", kPlacement),
    ignored("--cpu-moe -cmoe", "", kPlacement),
    ignored("--n-cpu-moe -ncmoe", "X", kPlacement),
    ignored("--tensor-split -ts", "X", kDealt),
    ignored("--max-gpu", "X", kDealt),
    ignored("--fit -fit", "[on|off|auto]", kPlacement),
    ignored("--fit-target -fitt", "X", kPlacement),
    ignored("--fit-ctx -fitc", "X", kPlacement),
    ignored("--fit-margin", "X", kPlacement),
    ignored("--gpu-fit-margin -gfm", "X", kPlacement),
    ignored("--cuda-params -cuda", "X", kPlacement),
    ignored("--op-offload", "", kPlacement),
    ignored("--no-op-offload", "", kPlacement),
    ignored("--no-host", "", kPlacement),
    ignored("--offload-policy -op", "X", kPlacement),
    ignored("--no-offload-only-active-experts -no-ooae", "", kPlacement),
    ignored("--offload-only-active-experts -ooae", "", kPlacement),
    ignored("--split-mode-graph-scheduling -smgs", "", kPlacement),
    ignored("--scheduler-async -sas", "", kPlacement),
    ignored("--split-mode-f16 -smf16", "", kPlacement),
    ignored("--split-mode-f32 -smf32", "", kPlacement),
    ignored("--graph-reduce-type -grt", "X", kPlacement),
    ignored("--max-extra-alloc -mea", "X", kPlacement),

    // How weights are read
    ignored("--load-mode -lm", "X", kLoading),
    ignored("--mmap", "", kLoading),
    ignored("--no-mmap", "", kLoading),
    ignored("--mlock", "", kLoading),
    ignored("--direct-io -dio", "", kLoading),
    ignored("--no-direct-io -ndio", "", kLoading),
    ignored("--transparent-huge-pages -thp", "", kLoading),
    ignored("--defer-experts", "", kLoading),
    ignored("--prefetch-experts", "", kLoading),
    ignored("--prefetch-experts-threads", "X", kLoading),

    // Attention and its cache
    ignored("--flash-attn -fa", "[on|off|auto]", kAttention),
    ignored("--no-flash-attn -no-fa -nfa", "", kAttention),
    ignored("--attention-max-batch -amb", "X", kAttention),
    ignored("--graph-attn-precision -gap", "X", kAttention),
    ignored("--grp-attn-n -gan", "X", kAttention),
    ignored("--grp-attn-w -gaw", "X", kAttention),
    ignored("--cache-type-k -ctk", "X", kCache),
    ignored("--cache-type-v -ctv", "X", kCache),
    ignored("--indexer-cache-type-k -ictk", "X", kCache),
    ignored("--cache-type-k-first -ctk-first", "X", kCache),
    ignored("--cache-type-k-last -ctk-last", "X", kCache),
    ignored("--cache-type-v-first -ctv-first", "X", kCache),
    ignored("--cache-type-v-last -ctv-last", "X", kCache),
    ignored("--k-cache-hadamard -khad", "", kCache),
    ignored("--v-cache-hadamard -vhad", "", kCache),
    ignored("--kv-offload -kvo", "", kCache),
    ignored("--no-kv-offload -nkvo", "", kCache),
    ignored("--defrag-thold -dt", "X", kCache),
    ignored("--swa-full", "", kCache),
    ignored("--swa-compress", "", kCache),
    ignored("--dump-kv-cache -dkvc", "", kCache),
    ignored("--context-shift", "[on|off|auto]", kCache),
    ignored("--no-context-shift", "", kCache),
    ignored("--keep", "X", kCache),
    ignored("--cache-ram -cram", "X", kCache),
    ignored("--cache-ram-similarity -crs", "X", kCache),
    ignored("--cache-ram-n-min -cram-n-min", "X", kCache),
    ignored("--ctx-checkpoints -ctx-ckpt", "X", kCache),
    ignored("--ctx-checkpoints-interval -ctx-ckpt-i", "X", kCache),
    ignored("--ctx-checkpoints-tolerance -ctx-ckpt-t", "X", kCache),
    ignored("--ctx-checkpoints-eviction -ctx-ckpt-e", "X", kCache),

    // Which kernels compute it
    ignored("--mla-use -mla", "X", kKernels),
    ignored("--fused-moe -fmoe", "", kKernels),
    ignored("--no-fused-moe -no-fmoe", "", kKernels),
    ignored("--fused-up-gate -fug", "", kKernels),
    ignored("--no-fused-up-gate -no-fug", "", kKernels),
    ignored("--fused-mul-multiadd -mmad", "", kKernels),
    ignored("--no-fused-mul-multiadd -no-mmad", "", kKernels),
    ignored("--fused-delta-net -fdn", "X", kKernels),
    ignored("--rope-cache -rcache", "", kKernels),
    ignored("--graph-reuse -gr", "", kKernels),
    ignored("--no-graph-reuse -no-gr", "", kKernels),
    ignored("--run-time-repack -rtr", "", kKernels),
    ignored("--repack", "", kKernels),
    ignored("--no-repack -nr", "", kKernels),
    ignored("--merge-qkv -mqkv", "", kKernels),
    ignored("--merge-up-gate-experts -muge", "", kKernels),
    ignored("--mtp-requantize-output-tensor -mtprot", "X", kKernels),
    ignored("--perf", "", "the speed is always reported"),
    ignored("--no-perf", "", "the speed is always reported"),

    // Messages
    ignored("--log-file", "X", kLogging),
    ignored("--log-colors", "[on|off|auto]", kLogging),
    ignored("--log-prefix", "", kLogging),
    ignored("--no-log-prefix", "", kLogging),
    ignored("--log-timestamps", "", kLogging),
    ignored("--no-log-timestamps", "", kLogging),
    ignored("--log-format", "X", kLogging),
    ignored("--log-enable", "", kLogging),
    ignored("--log-new", "", kLogging),
    ignored("--log-append", "", kLogging),
    ignored("--log-test", "", kLogging),
    ignored("--logdir -ld", "X", kLogging),
    ignored("--minilog", "X", kLogging),
    ignored("--color -co", "", kLogging),
    ignored("--simple-io", "", kLogging),
    ignored("--verbose-prompt", "", kLogging),
    ignored("--no-display-prompt", "", kLogging),
    ignored("--print-token-count -ptc", "X", kLogging),

    // Sampling
    ignored("--seed -s", "X", kSampling),
    ignored("--predict -n --n-predict", "X", kSampling),
    ignored("--samplers", "X", kSampling),
    ignored("--sampling-seq --sampler-seq", "X", kSampling),
    ignored("--ignore-eos", "", kSampling),
    ignored("--penalize-nl", "", kSampling),
    ignored("--temp --temperature", "X", kSampling),
    ignored("--top-k", "X", kSampling),
    ignored("--top-p", "X", kSampling),
    ignored("--min-p", "X", kSampling),
    ignored("--top-nsigma --top-n-sigma", "X", kSampling),
    ignored("--tfs", "X", kSampling),
    ignored("--xtc-probability", "X", kSampling),
    ignored("--xtc-threshold", "X", kSampling),
    ignored("--typical --typical-p", "X", kSampling),
    ignored("--repeat-last-n", "X", kSampling),
    ignored("--repeat-penalty", "X", kSampling),
    ignored("--presence-penalty", "X", kSampling),
    ignored("--frequency-penalty", "X", kSampling),
    ignored("--dry-multiplier", "X", kSampling),
    ignored("--dry-base", "X", kSampling),
    ignored("--dry-allowed-length", "X", kSampling),
    ignored("--dry-penalty-last-n", "X", kSampling),
    ignored("--dry-sequence-breaker", "X", kSampling),
    ignored("--adaptive-target", "X", kSampling),
    ignored("--adaptive-decay", "X", kSampling),
    ignored("--adaptive-updt-w-cur", "", kSampling),
    ignored("--dynatemp-range", "X", kSampling),
    ignored("--dynatemp-exp", "X", kSampling),
    ignored("--mirostat", "X", kSampling),
    ignored("--mirostat-lr", "X", kSampling),
    ignored("--mirostat-ent", "X", kSampling),
    ignored("--logit-bias -l", "X", kSampling),
    ignored("--expiring-logit-bias-file", "X", kSampling),
    ignored("--grammar", "X", kSampling),
    ignored("--grammar-file", "X", kSampling),
    ignored("--json-schema -j", "X", kSampling),
    ignored("--json-schema-file -jf", "X", kSampling),
    ignored("--backend-sampling -bs", "", kSampling),
    ignored("--cfg-negative-prompt", "X", kSampling),
    ignored("--cfg-negative-prompt-file", "X", kSampling),
    ignored("--cfg-scale", "X", kSampling),
    ignored("--banned-string-file", "X", kSampling),
    ignored("--banned-n", "X", kSampling),
    ignored("--allowlist-unicode-rule", "X", kSampling),
    ignored("--allowlist-pieces", "X", kSampling),
    ignored("--allowlist-keyword", "X", kSampling),
    ignored("--allowlist-keyword-delay", "X", kSampling),

    // Draft models and speculation
    ignored("--ctx-size-draft -cd", "X", kDraft),
    ignored("--gpu-layers-draft -ngld --n-gpu-layers-draft --spec-draft-ngl", "X", kDraft),
    ignored("--device-draft -devd --spec-draft-device", "X", kDraft),
    ignored("--cache-type-k-draft -ctkd --spec-draft-type-k", "X", kDraft),
    ignored("--cache-type-v-draft -ctvd --spec-draft-type-v", "X", kDraft),
    ignored("--draft --draft-max --draft-n", "X", kDraft),
    ignored("--draft-min --draft-n-min", "X", kDraft),
    ignored("--draft-p-min", "X", kDraft),
    ignored("--draft-params -draft", "X", kDraft),
    ignored("--p-split -ps", "X", kDraft),
    ignored("--spec-replace", "X Y", kDraft),
    ignored("--spec-stage", "X", kDraft),
    ignored("--spec-type", "X", kDraft),
    ignored("--spec-autotune", "", kDraft),
    ignored("--spec-ckpt-mode --recurrent-ckpt-mode", "X", kDraft),
    ignored("--spec-ngram-size-n", "X", kDraft),
    ignored("--spec-ngram-size-m", "X", kDraft),
    ignored("--spec-ngram-min-hits", "X", kDraft),
    ignored("--suffix-pattern-len", "X", kDraft),
    ignored("--suffix-max-depth", "X", kDraft),
    ignored("--suffix-corpus", "X", kDraft),
    ignored("--lookup-cache-static -lcs", "X", kDraft),
    ignored("--lookup-cache-dynamic -lcd", "X", kDraft),

    // Conversations
    ignored("--interactive -i", "", kChat),
    ignored("--interactive-first -if", "", kChat),
    ignored("--conversation -cnv", "", kChat),
    ignored("--infill", "", kChat),
    ignored("--spm-infill", "", kChat),
    ignored("--in-prefix-bos", "", kChat),
    ignored("--in-prefix", "X", kChat),
    ignored("--in-suffix", "X", kChat),
    ignored("--reverse-prompt -r", "X", kChat),
    ignored("--multiline-input -mli", "", kChat),
    ignored("--special -sp", "", "it concerns printed text; --parse-special reads special tokens in the text"),
    ignored("--prompt-cache", "X", kChat),
    ignored("--prompt-cache-all", "", kChat),
    ignored("--prompt-cache-ro", "", kChat),
    ignored("--system-prompt-file -spf", "X", kChat),
    ignored("--jinja", "", kChat),
    ignored("--no-jinja", "", kChat),
    ignored("--peg", "", kChat),
    ignored("--reasoning -rea", "X", kChat),
    ignored("--reasoning-format", "X", kChat),
    ignored("--reasoning-tokens", "X", kChat),
    ignored("--reasoning-budget", "X", kChat),
    ignored("--reasoning-budget-message", "X", kChat),
    ignored("--skip-chat-parsing", "", kChat),
    ignored("--no-prefill-assistant", "", kChat),
    ignored("--parallel-tool-calls -ptcall", "", kChat),

    // Images and sound
    ignored("--mmproj", "X", kMedia),
    ignored("--mmproj-url", "X", kMedia),
    ignored("--no-mmproj", "", kMedia),
    ignored("--no-mmproj-offload", "", kMedia),
    ignored("--mtmd-kq-type", "X", kMedia),
    ignored("--image --audio", "X", kMedia),
    ignored("--image-min-tokens", "X", kMedia),
    ignored("--image-max-tokens", "X", kMedia),

    // Servers
    ignored("--alias -a", "X", kServer),
    ignored("--host", "X", kServer),
    ignored("--port", "X", kServer),
    ignored("--path", "X", kServer),
    ignored("--webui", "X", kServer),
    ignored("--webui-mcp-proxy --ui-mcp-proxy", "", kServer),
    ignored("--api-key", "X", kServer),
    ignored("--api-key-file", "X", kServer),
    ignored("--ssl-key-file", "X", kServer),
    ignored("--ssl-cert-file", "X", kServer),
    ignored("--timeout -to", "X", kServer),
    ignored("--send-done", "", kServer),
    ignored("--no-slots", "", kServer),
    ignored("--metrics", "", kServer),
    ignored("--slot-save-path", "X", kServer),
    ignored("--slot-prompt-similarity -sps", "X", kServer),
    ignored("--sql-save-file", "X", kServer),
    ignored("--sqlite-zstd-ext-file", "X", kServer),
    ignored("--cont-batching -cb", "", kServer),
    ignored("--no-cont-batching -nocb", "", kServer),

    // Other programs that share a parser with the peers
    ignored("--pooling", "X", kOther),
    ignored("--embedding --embeddings", "", kOther),
    ignored("--embd-normalize", "X", kOther),
    ignored("--embd-output-format", "X", kOther),
    ignored("--embd-separator", "X", kOther),
    ignored("--perplexity --all-logits", "", "perplexity is computed unless --no-ppl is given"),
    ignored("--ppl-stride", "X", kOther),
    ignored("--ppl-output-type", "X", kOther),
    ignored("--save-all-logits --kl-divergence-base", "X", kOther),
    ignored("--kl-divergence", "", kOther),
    ignored("--hellaswag", "", kOther),
    ignored("--hellaswag-tasks", "X", kOther),
    ignored("--winogrande", "", kOther),
    ignored("--winogrande-tasks", "X", kOther),
    ignored("--multiple-choice", "", kOther),
    ignored("--multiple-choice-tasks", "X", kOther),
    ignored("--context-file", "X", kOther),
    ignored("--chunk-size", "X", "the length of a chunk is --ctx-size"),
    ignored("--chunk-separator", "X", kOther),
    ignored("--junk", "X", kOther),
    ignored("--pos", "X", kOther),
    ignored("--n-repetitions -nrep", "X", kOther),
    ignored("-pps", "", kOther),
    ignored("-npp", "X", kOther),
    ignored("-ntg", "X", kOther),
    ignored("-npl", "X", kOther),
    ignored("--positive-file", "X", kOther),
    ignored("--negative-file", "X", kOther),
    ignored("--pca-batch", "X", kOther),
    ignored("--pca-iter", "X", kOther),
    ignored("--method", "X", kOther),
};
// clang-format on

}  // namespace

std::span<const Option> foreign_options() noexcept { return kOptions; }

}  // namespace assay::cli
