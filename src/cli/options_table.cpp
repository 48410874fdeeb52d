#include "cli/options_table.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

namespace assay::cli {

namespace {

// Why an option has no effect. One sentence each, read after "NAME has no effect: ".
constexpr std::string_view kBatch = "results do not depend on how tokens are batched; see --wave";
constexpr std::string_view kThreadPlacement =
    "threads are placed by the operating system; use taskset or numactl";
constexpr std::string_view kPlacement =
    "one layer at a time is brought to the device, so there is no placement to choose; see --device and "
    "--memory";
constexpr std::string_view kLoading = "weights are read ahead layer by layer, as memory allows; see --memory";
constexpr std::string_view kAttention = "attention is computed exactly, in f32 or bf16; see --precision";
constexpr std::string_view kCache = "no key/value cache is kept: each chunk is evaluated at once";
constexpr std::string_view kKernels = "every observed product gets its data, however the arithmetic is done";
constexpr std::string_view kSampling = "nothing is generated";
constexpr std::string_view kDraft = "no draft model is used";
constexpr std::string_view kRope = "rotary settings are taken from the model file";
constexpr std::string_view kAdapters = "the model file is measured as it is, without adapters";
constexpr std::string_view kMetadata = "metadata is taken from the model file";
constexpr std::string_view kLogging = "messages go to stderr as plain text; redirect it to keep them";
constexpr std::string_view kChat = "the text is used as it is, not as a conversation";
constexpr std::string_view kServer = "this is not a server";
constexpr std::string_view kOther = "it belongs to another program";
constexpr std::string_view kMedia = "only text is read";
constexpr std::string_view kChecked = "values are checked on the way: a sum that is not finite ends the run";
constexpr std::string_view kNoNetwork = "the network is never used";
constexpr std::string_view kDownload =
    "models are not downloaded; fetch the .gguf file (every part of a split model) and give it with -m FILE";
constexpr std::string_view kRpc = "remote devices are not supported; run on the machine that has the device";
constexpr std::string_view kListDevices = "devices are not listed; --device takes auto, cpu, cuda or cuda:N";
constexpr std::string_view kShell = "there is no list to print";

constexpr OptionRow works(std::string_view names, Takes takes) { return {names, takes, Fate::Works, {}}; }
constexpr OptionRow ignored(std::string_view names, Takes takes, std::string_view reason) {
    return {names, takes, Fate::Ignored, reason};
}
constexpr OptionRow refused(std::string_view names, Takes takes, std::string_view reason) {
    return {names, takes, Fate::Refused, reason};
}

using enum Takes;

// clang-format off
constexpr OptionRow kRows[] = {
    // Model, text, tokens
    works("--model -m", Value),
    works("--file -f", Value),
    works("--binary-file -bf", Value),
    works("--prompt -p", Value),
    works("--escape -e", Nothing),
    works("--no-escape", Nothing),
    works("--ctx-size -c", Value),
    works("--parse-special", Nothing),
    works("--chunk --from-chunk", Value),
    works("--chunks", Value),
    // What to collect and where to put it
    works("--output -o --output-file", Value),
    works("--output-format", Value),
    works("--output-frequency -ofreq", Value),
    works("--save-frequency", Value),
    works("--in-file", Value),
    works("--process-output", Nothing),
    works("--output-tensor-name", Value),
    works("--ppl", Nothing),
    works("--no-ppl", Nothing),
    works("--layer-similarity -lsim", Nothing),
    works("--show-statistics", Nothing),
    works("--report", Value),
    works("--json", Nothing),
    works("--csv", Nothing),
    // How to run
    works("--threads -t", Value),
    works("--threads-batch -tb", Value),
    works("--device -dev", Value),
    works("--gpu-layers -ngl --n-gpu-layers", Value),
    works("--precision", Value),
    works("--isa", Value),
    works("--wave", Value),
    works("--memory", Value),
    works("--verbosity -lv --log-verbosity", Value),
    works("--verbose -v --log-verbose", Nothing),
    works("--log-disable", Nothing),
    works("--help -h --usage", Nothing),
    works("--version", Nothing),
    works("--list-devices", Nothing),

    // Models that are not on this machine, devices that are not in it
    refused("--hf-repo -hf -hfr", Value, kDownload),
    refused("--hf-file -hff", Value, kDownload),
    refused("--model-url -mu", Value, kDownload),
    refused("--docker-repo -dr", Value, kDownload),
    refused("--rpc", Value, kRpc),
    refused("--cache-list -cl", Nothing, kShell),
    refused("--completion-bash", Nothing, kShell),
    refused("--dry-run", Nothing, "use `assay inspect` to look at a model without running it"),
    ignored("--hf-token -hft", Value, kNoNetwork),
    ignored("--offline", Nothing, kNoNetwork),

    // Batches, threads
    ignored("--batch-size -b", Value, kBatch),
    ignored("--ubatch-size -ub", Value, kBatch),
    ignored("--parallel -np", Value, kBatch),
    ignored("--sequences -ns", Value, kBatch),
    ignored("--worst-graph-tokens -wgt", Value, kBatch),
    ignored("--warmup", Nothing, "there is no warm-up run"),
    ignored("--no-warmup", Nothing, "there is no warm-up run"),
    ignored("--warmup-batch -wb", Nothing, "there is no warm-up run"),
    ignored("--cpu-mask -C", Value, kThreadPlacement),
    ignored("--cpu-range -Cr", Value, kThreadPlacement),
    ignored("--cpu-strict", Value, kThreadPlacement),
    ignored("--prio", Value, kThreadPlacement),
    ignored("--poll", Value, kThreadPlacement),
    ignored("--cpu-mask-batch -Cb", Value, kThreadPlacement),
    ignored("--cpu-range-batch -Crb", Value, kThreadPlacement),
    ignored("--cpu-strict-batch", Value, kThreadPlacement),
    ignored("--prio-batch", Value, kThreadPlacement),
    ignored("--poll-batch", Value, kThreadPlacement),
    ignored("--numa", Value, kThreadPlacement),
    ignored("--threads-mtmd -tm", Value, kMedia),
    ignored("--threads-draft -td", Value, kDraft),
    ignored("--threads-batch-draft -tbd", Value, kDraft),
    ignored("--threads-http", Value, kServer),

    // Where weights lie
    ignored("--override-tensor -ot", Value, kPlacement),
    ignored("--cpu-moe -cmoe", Nothing, kPlacement),
    ignored("--n-cpu-moe -ncmoe", Value, kPlacement),
    ignored("--tensor-split -ts", Value, kPlacement),
    ignored("--split-mode -sm", Value, kPlacement),
    ignored("--main-gpu -mg", Value, kPlacement),
    ignored("--max-gpu", Value, kPlacement),
    ignored("--fit -fit", Switch, kPlacement),
    ignored("--fit-target -fitt", Value, kPlacement),
    ignored("--fit-ctx -fitc", Value, kPlacement),
    ignored("--fit-margin", Value, kPlacement),
    ignored("--gpu-fit-margin -gfm", Value, kPlacement),
    ignored("--cuda-params -cuda", Value, kPlacement),
    ignored("--op-offload", Nothing, kPlacement),
    ignored("--no-op-offload", Nothing, kPlacement),
    ignored("--no-host", Nothing, kPlacement),
    ignored("--offload-policy -op", Value, kPlacement),
    ignored("--no-offload-only-active-experts -no-ooae", Nothing, kPlacement),
    ignored("--offload-only-active-experts -ooae", Nothing, kPlacement),
    ignored("--split-mode-graph-scheduling -smgs", Nothing, kPlacement),
    ignored("--scheduler-async -sas", Nothing, kPlacement),
    ignored("--split-mode-f16 -smf16", Nothing, kPlacement),
    ignored("--split-mode-f32 -smf32", Nothing, kPlacement),
    ignored("--graph-reduce-type -grt", Value, kPlacement),
    ignored("--max-extra-alloc -mea", Value, kPlacement),

    // How weights are read
    ignored("--load-mode -lm", Value, kLoading),
    ignored("--mmap", Nothing, kLoading),
    ignored("--no-mmap", Nothing, kLoading),
    ignored("--mlock", Nothing, kLoading),
    ignored("--direct-io -dio", Nothing, kLoading),
    ignored("--no-direct-io -ndio", Nothing, kLoading),
    ignored("--transparent-huge-pages -thp", Nothing, kLoading),
    ignored("--defer-experts", Nothing, kLoading),
    ignored("--prefetch-experts", Nothing, kLoading),
    ignored("--prefetch-experts-threads", Value, kLoading),
    ignored("--check-tensors", Nothing, kChecked),
    ignored("--validate-quants -vq", Nothing, kChecked),
    ignored("--override-kv -okv", Value, kMetadata),

    // Attention and its cache
    ignored("--flash-attn -fa", Switch, kAttention),
    ignored("--no-flash-attn -no-fa -nfa", Nothing, kAttention),
    ignored("--attention-max-batch -amb", Value, kAttention),
    ignored("--graph-attn-precision -gap", Value, kAttention),
    ignored("--attention", Value, kAttention),
    ignored("--grp-attn-n -gan", Value, kAttention),
    ignored("--grp-attn-w -gaw", Value, kAttention),
    ignored("--dsa -dsa", Nothing, kAttention),
    ignored("--dsa-top-k -dsatk", Value, kAttention),
    ignored("--fused-indexer-topk -fidx", Nothing, kAttention),
    ignored("--cache-type-k -ctk", Value, kCache),
    ignored("--cache-type-v -ctv", Value, kCache),
    ignored("--indexer-cache-type-k -ictk", Value, kCache),
    ignored("--cache-type-k-first -ctk-first", Value, kCache),
    ignored("--cache-type-k-last -ctk-last", Value, kCache),
    ignored("--cache-type-v-first -ctv-first", Value, kCache),
    ignored("--cache-type-v-last -ctv-last", Value, kCache),
    ignored("--k-cache-hadamard -khad", Nothing, kCache),
    ignored("--v-cache-hadamard -vhad", Nothing, kCache),
    ignored("--kv-offload -kvo", Nothing, kCache),
    ignored("--no-kv-offload -nkvo", Nothing, kCache),
    ignored("--defrag-thold -dt", Value, kCache),
    ignored("--swa-full", Nothing, kCache),
    ignored("--swa-compress", Nothing, kCache),
    ignored("--dump-kv-cache -dkvc", Nothing, kCache),
    ignored("--context-shift", Switch, kCache),
    ignored("--no-context-shift", Nothing, kCache),
    ignored("--keep", Value, kCache),
    ignored("--cache-ram -cram", Value, kCache),
    ignored("--cache-ram-similarity -crs", Value, kCache),
    ignored("--cache-ram-n-min -cram-n-min", Value, kCache),
    ignored("--ctx-checkpoints -ctx-ckpt", Value, kCache),
    ignored("--ctx-checkpoints-interval -ctx-ckpt-i", Value, kCache),
    ignored("--ctx-checkpoints-tolerance -ctx-ckpt-t", Value, kCache),
    ignored("--ctx-checkpoints-eviction -ctx-ckpt-e", Value, kCache),

    // Which kernels compute it
    ignored("--mla-use -mla", Value, kKernels),
    ignored("--fused-moe -fmoe", Nothing, kKernels),
    ignored("--no-fused-moe -no-fmoe", Nothing, kKernels),
    ignored("--fused-up-gate -fug", Nothing, kKernels),
    ignored("--no-fused-up-gate -no-fug", Nothing, kKernels),
    ignored("--fused-mul-multiadd -mmad", Nothing, kKernels),
    ignored("--no-fused-mul-multiadd -no-mmad", Nothing, kKernels),
    ignored("--fused-delta-net -fdn", Value, kKernels),
    ignored("--grouped-expert-routing -ger", Nothing, "experts are chosen as the model says"),
    ignored("--no-grouped-expert-routing -no-ger", Nothing, "experts are chosen as the model says"),
    ignored("--smart-expert-reduction -ser", Value, "experts are chosen as the model says"),
    ignored("--rope-cache -rcache", Nothing, kKernels),
    ignored("--graph-reuse -gr", Nothing, kKernels),
    ignored("--no-graph-reuse -no-gr", Nothing, kKernels),
    ignored("--run-time-repack -rtr", Nothing, kKernels),
    ignored("--repack", Nothing, kKernels),
    ignored("--no-repack -nr", Nothing, kKernels),
    ignored("--merge-qkv -mqkv", Nothing, kKernels),
    ignored("--merge-up-gate-experts -muge", Nothing, kKernels),
    ignored("--mtp-requantize-output-tensor -mtprot", Value, kKernels),
    ignored("--perf", Nothing, "the speed is always reported"),
    ignored("--no-perf", Nothing, "the speed is always reported"),

    // What would change the model
    ignored("--rope-scaling", Value, kRope),
    ignored("--rope-scale", Value, kRope),
    ignored("--rope-freq-base", Value, kRope),
    ignored("--rope-freq-scale", Value, kRope),
    ignored("--yarn-orig-ctx", Value, kRope),
    ignored("--yarn-ext-factor", Value, kRope),
    ignored("--yarn-attn-factor", Value, kRope),
    ignored("--yarn-beta-slow", Value, kRope),
    ignored("--yarn-beta-fast", Value, kRope),
    ignored("--lora", Value, kAdapters),
    ignored("--lora-scaled", Scaled, kAdapters),
    ignored("--lora-init-without-apply", Nothing, kAdapters),
    ignored("--control-vector", Value, kAdapters),
    ignored("--control-vector-scaled", Scaled, kAdapters),
    ignored("--control-vector-layer-range", Two, kAdapters),

    // Messages
    ignored("--log-file", Value, kLogging),
    ignored("--log-colors", Switch, kLogging),
    ignored("--log-prefix", Nothing, kLogging),
    ignored("--no-log-prefix", Nothing, kLogging),
    ignored("--log-timestamps", Nothing, kLogging),
    ignored("--no-log-timestamps", Nothing, kLogging),
    ignored("--log-format", Value, kLogging),
    ignored("--log-enable", Nothing, kLogging),
    ignored("--log-new", Nothing, kLogging),
    ignored("--log-append", Nothing, kLogging),
    ignored("--log-test", Nothing, kLogging),
    ignored("--logdir -ld", Value, kLogging),
    ignored("--minilog", Value, kLogging),
    ignored("--color -co", Nothing, kLogging),
    ignored("--simple-io", Nothing, kLogging),
    ignored("--verbose-prompt", Nothing, kLogging),
    ignored("--no-display-prompt", Nothing, kLogging),
    ignored("--print-token-count -ptc", Value, kLogging),

    // Sampling
    ignored("--seed -s", Value, kSampling),
    ignored("--predict -n --n-predict", Value, kSampling),
    ignored("--samplers", Value, kSampling),
    ignored("--sampling-seq --sampler-seq", Value, kSampling),
    ignored("--ignore-eos", Nothing, kSampling),
    ignored("--penalize-nl", Nothing, kSampling),
    ignored("--temp --temperature", Value, kSampling),
    ignored("--top-k", Value, kSampling),
    ignored("--top-p", Value, kSampling),
    ignored("--min-p", Value, kSampling),
    ignored("--top-nsigma --top-n-sigma", Value, kSampling),
    ignored("--tfs", Value, kSampling),
    ignored("--xtc-probability", Value, kSampling),
    ignored("--xtc-threshold", Value, kSampling),
    ignored("--typical --typical-p", Value, kSampling),
    ignored("--repeat-last-n", Value, kSampling),
    ignored("--repeat-penalty", Value, kSampling),
    ignored("--presence-penalty", Value, kSampling),
    ignored("--frequency-penalty", Value, kSampling),
    ignored("--dry-multiplier", Value, kSampling),
    ignored("--dry-base", Value, kSampling),
    ignored("--dry-allowed-length", Value, kSampling),
    ignored("--dry-penalty-last-n", Value, kSampling),
    ignored("--dry-sequence-breaker", Value, kSampling),
    ignored("--adaptive-target", Value, kSampling),
    ignored("--adaptive-decay", Value, kSampling),
    ignored("--adaptive-updt-w-cur", Nothing, kSampling),
    ignored("--dynatemp-range", Value, kSampling),
    ignored("--dynatemp-exp", Value, kSampling),
    ignored("--mirostat", Value, kSampling),
    ignored("--mirostat-lr", Value, kSampling),
    ignored("--mirostat-ent", Value, kSampling),
    ignored("--logit-bias -l", Value, kSampling),
    ignored("--expiring-logit-bias-file", Value, kSampling),
    ignored("--grammar", Value, kSampling),
    ignored("--grammar-file", Value, kSampling),
    ignored("--json-schema -j", Value, kSampling),
    ignored("--json-schema-file -jf", Value, kSampling),
    ignored("--backend-sampling -bs", Nothing, kSampling),
    ignored("--cfg-negative-prompt", Value, kSampling),
    ignored("--cfg-negative-prompt-file", Value, kSampling),
    ignored("--cfg-scale", Value, kSampling),
    ignored("--banned-string-file", Value, kSampling),
    ignored("--banned-n", Value, kSampling),
    ignored("--allowlist-unicode-rule", Value, kSampling),
    ignored("--allowlist-pieces", Value, kSampling),
    ignored("--allowlist-keyword", Value, kSampling),
    ignored("--allowlist-keyword-delay", Value, kSampling),

    // Draft models and speculation
    ignored("--output-draft --draft-output --draft-output-file", Value, kDraft),
    ignored("--model-draft -md --spec-draft-model", Value, kDraft),
    ignored("--hf-repo-draft -hfd -hfrd", Value, kDraft),
    ignored("--ctx-size-draft -cd", Value, kDraft),
    ignored("--gpu-layers-draft -ngld --n-gpu-layers-draft --spec-draft-ngl", Value, kDraft),
    ignored("--device-draft -devd --spec-draft-device", Value, kDraft),
    ignored("--cache-type-k-draft -ctkd --spec-draft-type-k", Value, kDraft),
    ignored("--cache-type-v-draft -ctvd --spec-draft-type-v", Value, kDraft),
    ignored("--draft --draft-max --draft-n", Value, kDraft),
    ignored("--draft-min --draft-n-min", Value, kDraft),
    ignored("--draft-p-min", Value, kDraft),
    ignored("--draft-params -draft", Value, kDraft),
    ignored("--p-split -ps", Value, kDraft),
    ignored("--multi-token-prediction -mtp", Nothing, kDraft),
    ignored("--no-multi-token-prediction -no-mtp", Nothing, kDraft),
    ignored("--spec-replace", Two, kDraft),
    ignored("--spec-stage", Value, kDraft),
    ignored("--spec-type", Value, kDraft),
    ignored("--spec-autotune", Nothing, kDraft),
    ignored("--spec-ckpt-mode --recurrent-ckpt-mode", Value, kDraft),
    ignored("--spec-ngram-size-n", Value, kDraft),
    ignored("--spec-ngram-size-m", Value, kDraft),
    ignored("--spec-ngram-min-hits", Value, kDraft),
    ignored("--suffix-pattern-len", Value, kDraft),
    ignored("--suffix-max-depth", Value, kDraft),
    ignored("--suffix-corpus", Value, kDraft),
    ignored("--lookup-cache-static -lcs", Value, kDraft),
    ignored("--lookup-cache-dynamic -lcd", Value, kDraft),

    // Conversations
    ignored("--interactive -i", Nothing, kChat),
    ignored("--interactive-first -if", Nothing, kChat),
    ignored("--conversation -cnv", Nothing, kChat),
    ignored("--infill", Nothing, kChat),
    ignored("--spm-infill", Nothing, kChat),
    ignored("--in-prefix-bos", Nothing, kChat),
    ignored("--in-prefix", Value, kChat),
    ignored("--in-suffix", Value, kChat),
    ignored("--reverse-prompt -r", Value, kChat),
    ignored("--multiline-input -mli", Nothing, kChat),
    ignored("--special -sp", Nothing, "it concerns printed text; --parse-special reads special tokens in the text"),
    ignored("--prompt-cache", Value, kChat),
    ignored("--prompt-cache-all", Nothing, kChat),
    ignored("--prompt-cache-ro", Nothing, kChat),
    ignored("--system-prompt-file -spf", Value, kChat),
    ignored("--chat-template", Value, kChat),
    ignored("--chat-template-file", Value, kChat),
    ignored("--chat-template-kwargs", Value, kChat),
    ignored("--jinja", Nothing, kChat),
    ignored("--no-jinja", Nothing, kChat),
    ignored("--peg", Nothing, kChat),
    ignored("--reasoning -rea", Value, kChat),
    ignored("--reasoning-format", Value, kChat),
    ignored("--reasoning-tokens", Value, kChat),
    ignored("--reasoning-budget", Value, kChat),
    ignored("--reasoning-budget-message", Value, kChat),
    ignored("--skip-chat-parsing", Nothing, kChat),
    ignored("--no-prefill-assistant", Nothing, kChat),
    ignored("--parallel-tool-calls -ptcall", Nothing, kChat),

    // Images and sound
    ignored("--mmproj", Value, kMedia),
    ignored("--mmproj-url", Value, kMedia),
    ignored("--no-mmproj", Nothing, kMedia),
    ignored("--no-mmproj-offload", Nothing, kMedia),
    ignored("--mtmd-kq-type", Value, kMedia),
    ignored("--image --audio", Value, kMedia),
    ignored("--image-min-tokens", Value, kMedia),
    ignored("--image-max-tokens", Value, kMedia),

    // Servers
    ignored("--alias -a", Value, kServer),
    ignored("--host", Value, kServer),
    ignored("--port", Value, kServer),
    ignored("--path", Value, kServer),
    ignored("--webui", Value, kServer),
    ignored("--webui-mcp-proxy --ui-mcp-proxy", Nothing, kServer),
    ignored("--api-key", Value, kServer),
    ignored("--api-key-file", Value, kServer),
    ignored("--ssl-key-file", Value, kServer),
    ignored("--ssl-cert-file", Value, kServer),
    ignored("--timeout -to", Value, kServer),
    ignored("--send-done", Nothing, kServer),
    ignored("--no-slots", Nothing, kServer),
    ignored("--metrics", Nothing, kServer),
    ignored("--slot-save-path", Value, kServer),
    ignored("--slot-prompt-similarity -sps", Value, kServer),
    ignored("--sql-save-file", Value, kServer),
    ignored("--sqlite-zstd-ext-file", Value, kServer),
    ignored("--cont-batching -cb", Nothing, kServer),
    ignored("--no-cont-batching -nocb", Nothing, kServer),

    // Other programs that share a parser with the peers
    ignored("--pooling", Value, kOther),
    ignored("--embedding --embeddings", Nothing, kOther),
    ignored("--embd-normalize", Value, kOther),
    ignored("--embd-output-format", Value, kOther),
    ignored("--embd-separator", Value, kOther),
    ignored("--perplexity --all-logits", Nothing, "perplexity is computed unless --no-ppl is given"),
    ignored("--ppl-stride", Value, kOther),
    ignored("--ppl-output-type", Value, kOther),
    ignored("--save-all-logits --kl-divergence-base", Value, kOther),
    ignored("--kl-divergence", Nothing, kOther),
    ignored("--hellaswag", Nothing, kOther),
    ignored("--hellaswag-tasks", Value, kOther),
    ignored("--winogrande", Nothing, kOther),
    ignored("--winogrande-tasks", Value, kOther),
    ignored("--multiple-choice", Nothing, kOther),
    ignored("--multiple-choice-tasks", Value, kOther),
    ignored("--context-file", Value, kOther),
    ignored("--chunk-size", Value, "the length of a chunk is --ctx-size"),
    ignored("--chunk-separator", Value, kOther),
    ignored("--junk", Value, kOther),
    ignored("--pos", Value, kOther),
    ignored("--n-repetitions -nrep", Value, kOther),
    ignored("-pps", Nothing, kOther),
    ignored("-npp", Value, kOther),
    ignored("-ntg", Value, kOther),
    ignored("-npl", Value, kOther),
    ignored("--positive-file", Value, kOther),
    ignored("--negative-file", Value, kOther),
    ignored("--pca-batch", Value, kOther),
    ignored("--pca-iter", Value, kOther),
    ignored("--method", Value, kOther),
};
// clang-format on

/// Calls use(name) for each name of the row until it returns true; whether it did.
template <typename Use> bool any_name(const OptionRow& row, Use use) {
    std::string_view rest = row.names;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        if (use(rest.substr(0, end))) return true;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
    std::iota(previous.begin(), previous.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                current[j] = std::min(current[j], before[j - 2] + 1);
        }
        std::swap(before, previous);
        std::swap(previous, current);
    }
    return previous[b.size()];
}

std::string_view without_dashes(std::string_view name) {
    return name.substr(std::min(name.find_first_not_of('-'), name.size()));
}

}  // namespace

std::span<const OptionRow> calibrate_options() noexcept { return kRows; }

const OptionRow* find_option(std::span<const OptionRow> rows, std::string_view name) noexcept {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const OptionRow& row) {
        return any_name(row, [&](std::string_view candidate) { return candidate == name; });
    });
    return found == rows.end() ? nullptr : &*found;
}

std::string_view canonical_name(const OptionRow& row) noexcept {
    return row.names.substr(0, row.names.find(' '));
}

std::string_view nearest_name(std::span<const OptionRow> rows, std::string_view name) {
    // A wrong number of dashes is one mistake, however many there are.
    const auto distance = [](std::string_view a, std::string_view b) {
        const std::string_view bare_a = without_dashes(a), bare_b = without_dashes(b);
        const bool same_dashes = a.size() - bare_a.size() == b.size() - bare_b.size();
        return 2 * edit_distance(bare_a, bare_b) + (same_dashes ? 0 : 1);
    };
    std::string_view best;
    std::size_t least = std::string_view::npos;
    for (const OptionRow& row : rows) {
        any_name(row, [&](std::string_view candidate) {
            const std::size_t d = distance(name, candidate);
            if (d < least) {
                least = d;
                best = candidate;
            }
            return false;
        });
    }
    const std::size_t letters = without_dashes(best).size();
    return 3 * least <= 2 * letters + 2 ? best : std::string_view();
}

}  // namespace assay::cli
