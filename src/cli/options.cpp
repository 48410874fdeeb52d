// The options that work. A new one is a row here, the field that it fills, and the use of that field.
#include <algorithm>

#include "cli/arguments.h"
#include "cli/option.h"
#include "core/error.h"
#include "recipe/policy.h"

namespace assay::cli {

namespace {

using Run = calibrate::Options;
using Target = recipe::Options;
using enum Section;

template <typename Field> auto& field(Arguments& a, Field Arguments::*f) { return a.*f; }
template <typename Field> auto& field(Arguments& a, Field Run::*f) { return a.options.*f; }
template <typename Field> auto& field(Arguments& a, Field Target::*f) { return a.recipe.*f; }

// What most rows do with a value, by the field.

template <auto kField, auto kTo = true> void set(Arguments& a, const Value&) { field(a, kField) = kTo; }

template <auto kField, std::int64_t kLeast> void integer(Arguments& a, const Value& v) {
    field(a, kField) =
        static_cast<std::remove_cvref_t<decltype(field(a, kField))>>(parse_integer(v.option, v.text, kLeast));
}
template <auto kField> void real(Arguments& a, const Value& v) {
    field(a, kField) = parse_real(v.option, v.text, 0);
}
template <auto kField> void bytes(Arguments& a, const Value& v) {
    field(a, kField) = parse_size(v.option, v.text);
}
template <auto kField> void word(Arguments& a, const Value& v) { field(a, kField) = v.text; }

/// A name that is not empty: what a script's unset variable leaves is a mistake, not a wish.
const std::string& needed(const Value& v, std::string_view of = "file") {
    if (v.text.empty()) throw_error(ErrorKind::Usage, v.option, "needs the name of a {}, found ''", of);
    return v.text;
}
template <auto kField> void path(Arguments& a, const Value& v) { field(a, kField) = needed(v); }
template <auto kField> void paths(Arguments& a, const Value& v) {
    for (std::string& part : parse_list(v.option, v.text)) field(a, kField).emplace_back(std::move(part));
}

// And what the others do.

template <TextFrom kFrom> void text(Arguments& a, const Value& v) {
    ++a.n_texts;
    const bool prompt = kFrom == TextFrom::Prompt;
    a.text_source = prompt ? v.text : needed(v);
    a.text_from = prompt && v.text.empty() ? TextFrom::Nowhere : kFrom;
    a.options.documents.may_be_json_lines = kFrom == TextFrom::File;
    a.options.dataset = prompt ? "" : v.text;
}

/// A line feed and the like can be typed by name.
void split_on(Arguments& a, const Value& v) {
    a.options.documents.split_on = unescape(v.text);
    if (v.text.empty())
        throw Error(ErrorKind::Usage, v.option, "needs what stands between documents, found ''");
}
void chat_template(Arguments& a, const Value& v) { a.options.documents.chat_template = needed(v); }
void template_date(Arguments& a, const Value& v) {
    a.options.documents.render.now = parse_date(v.option, v.text);
}
void weights(Arguments& a, const Value& v) { a.options.documents.weights = parse_weights(v.option, v.text); }

/// 0 leaves what the file says.
void set_rotary(Arguments& a, const char* key, std::optional<gguf::Value> value) {
    std::erase_if(a.rotary, [&](const auto& item) { return item.first == key; });
    if (value) a.rotary.emplace_back(key, std::move(*value));
}
void rope_base(Arguments& a, const Value& v) {
    const double base = parse_real(v.option, v.text, 0);
    set_rotary(a, "{arch}.rope.freq_base", base == 0 ? std::nullopt : std::optional(gguf::f64(base)));
}
template <bool kInverse> void rope_scale(Arguments& a, const Value& v) {
    const double scale = parse_real(v.option, v.text, 0);
    set_rotary(a, "{arch}.rope.scaling.factor",
               scale == 0 ? std::nullopt : std::optional(gguf::f64(kInverse ? 1 / scale : scale)));
}
void rope_scaling(Arguments& a, const Value& v) {
    if (v.text != "none" && v.text != "linear" && v.text != "yarn")
        throw_error(ErrorKind::Usage, v.option, "'{}' is no kind of scaling; expected none, linear or yarn",
                    v.text);
    set_rotary(a, "{arch}.rope.scaling.type", gguf::text(v.text));
}
void yarn_context(Arguments& a, const Value& v) {
    const std::int64_t tokens = parse_integer(v.option, v.text, 0);
    set_rotary(a, "{arch}.rope.scaling.original_context_length",
               tokens == 0 ? std::nullopt : std::optional(gguf::u64(static_cast<std::uint64_t>(tokens))));
}
void override_metadata(Arguments& a, const Value& v) {
    for (auto& item : parse_overrides(v.option, v.text)) a.options.metadata.push_back(std::move(item));
}

void ctx_size(Arguments& a, const Value& v) {
    integer<&Run::n_ctx, 1>(a, v);
    a.ctx_size_given = true;
}
void save_every(Arguments& a, const Value& v) {
    integer<&Run::save_every, 0>(a, v);
    a.options.save_every_given = true;
}
void device(Arguments& a, const Value& v) {
    a.options.device.clear();
    for (const std::string& name : parse_list(v.option, v.text))
        a.options.device += (a.options.device.empty() ? "" : ",") + parse_device(name);
    a.device_given = true;
}
void gpu_layers(Arguments& a, const Value& v) { a.no_gpu_layers = v.text == "0"; }
void split_mode(Arguments& a, const Value& v) {
    constexpr std::string_view kModes[] = {"none", "layer", "row", "tensor", "attn", "graph"};
    if (std::ranges::find(kModes, v.text) == std::end(kModes))
        throw_error(ErrorKind::Usage, v.option,
                    "'{}' is no split mode; expected none, layer, row, tensor, attn or graph", v.text);
    a.one_gpu = v.text == "none";
}
void missing_experts(Arguments& a, const Value& v) {
    using enum calibrate::MissingExperts;
    const auto as = v.text == "zero"  ? std::optional(Zero)
                    : v.text == "one" ? std::optional(One)
                    : v.text == "all" ? std::optional(All)
                                      : std::nullopt;
    if (!as) throw_error(ErrorKind::Usage, v.option, "'{}' is not zero, one or all", v.text);
    a.options.missing_experts = *as;
}
void isa(Arguments& a, const Value& v) {
    a.options.isa = parse_isa(v.text);
    if (!a.options.isa)
        throw_error(ErrorKind::Usage, v.option,
                    "'{}' is no instruction set; expected scalar, avx2, avx512, avx512bf16 or amx", v.text);
}
void on_nan(Arguments& a, const Value& v) {
    if (v.text != "stop" && v.text != "skip-chunk")
        throw_error(ErrorKind::Usage, v.option, "'{}' is not stop or skip-chunk", v.text);
    a.options.on_nan = v.text == "stop" ? calibrate::OnNan::Stop : calibrate::OnNan::SkipChunk;
}
void verbosity(Arguments& a, const Value& v) {
    const std::int64_t level = parse_integer(v.option, v.text, INT32_MIN);
    a.verbosity = static_cast<Verbosity>(std::clamp<std::int64_t>(level, 0, std::int64_t{4}));
}

template <typename Types> void add_types(Types& types, const Value& v) {
    for (const std::string& name : parse_list(v.option, v.text)) {
        const auto type = recipe::parse_type(name);
        if (!type) throw_error(ErrorKind::Usage, v.option, "unknown type '{}'", name);
        if (std::ranges::find(types, *type) == types.end()) types.push_back(*type);
    }
}
void round_by(Arguments& a, const Value& v) {
    using calibrate::UnitBy;
    for (const UnitBy by : {UnitBy::Layer, UnitBy::Kind, UnitBy::Tensor}) {
        a.sensitivity.by = by;
        if (v.text == calibrate::to_string(by)) return;
    }
    throw_error(ErrorKind::Usage, v.option, "'{}' is not layer, kind or tensor", v.text);
}

// clang-format off
constexpr Option kOptions[] = {
    {"--model -m", "FILE", "the model; of a split one its first part",
     word<&Run::model>, kCalibrate | kSensitivity | kTokenize | kText | kRecipes, Text, "LLAMA_ARG_MODEL"},
    {"--model -m", "FILE", "of a matrix: also what it has for each tensor of this model", word<&Run::model>, kInspect, Text},
    {"--model-draft -md --spec-draft-model", "FILE", "its blocks that predict ahead, where they are in a file of their own; implies --nextn",
     path<&Run::draft>, kCalibrate, Text},
    {"--override-kv -okv", "KEY=TYPE:VALUE,...", "metadata in place of the model's; TYPE is int, float, bool or str",
     override_metadata, kRuns | kTokenize | kText, Text},
    {"--rope-freq-base", "X", "base frequency of the rotary embedding (0: the model's)",
     rope_base, kCalibrate, Text, "LLAMA_ARG_ROPE_FREQ_BASE"},
    {"--rope-scaling", "KIND", "none, linear or yarn (the model's)",
     rope_scaling, kCalibrate, Text, "LLAMA_ARG_ROPE_SCALING_TYPE"},
    {"--rope-scale", "X", "context is extended by this factor (0: the model's)",
     rope_scale<false>, kCalibrate, Text, "LLAMA_ARG_ROPE_SCALE"},
    {"--rope-freq-scale", "X", "the same as 1/X",
     rope_scale<true>, kCalibrate, Text, "LLAMA_ARG_ROPE_FREQ_SCALE"},
    {"--yarn-orig-ctx", "N", "context that YaRN extends (0: the model's)",
     yarn_context, kCalibrate, Text, "LLAMA_ARG_YARN_ORIG_CTX"},
    {"--file -f", "FILE", "calibration text; one line feed at its end is dropped. Or documents, a JSON object a line, each a "
     "chunk of its own", text<TextFrom::File>, kRuns | kText, Text},
    {"--binary-file -bf", "FILE", "the same, but it is one text and every byte counts", text<TextFrom::BinaryFile>, kRuns | kText, Text},
    {"--file -f --binary-file -bf", "FILE", "text; every byte counts", text<TextFrom::BinaryFile>, kTokenize, Text},
    {"--prompt -p", "TEXT", "the text itself", text<TextFrom::Prompt>, kRuns | kTokenize | kText, Text},
    {"--escape -e", "", "\\n, \\t and the like in the text stand for what they name", set<&Arguments::escape>, kRuns | kText, Text},
    {"--no-escape", "", "they stand for themselves (default)", set<&Arguments::escape, false>, kRuns | kText, Text},
    {"--split-on", "MARK", "what stands between the marks are documents, each a chunk; \\n and the like in it stand for what they name",
     split_on, kRuns | kText, Text},
    {"--chat-template --chat-template-file", "FILE", "the template, in Jinja, that makes text of conversations (the model's)",
     chat_template, kRuns | kText, Text},
    {"--chat-template-kwargs", "JSON", "an object with further variables for it, like {\"enable_thinking\": false}",
     [](Arguments& a, const Value& v) { a.options.documents.render.variables = v.text; }, kRuns | kText, Text},
    {"--template-date", "DATE", "the day that it is told where it asks, like 2026-11-27 (today)", template_date, kRuns | kText, Text},
    {"--weights", "ROLE=X,...", "what tokens count by who says them: system, user, assistant, tool, template, or text where nobody "
     "does (1)", weights, kCalibrate, Text},
    {"--ctx-size -c", "N", "tokens of a chunk (512)", ctx_size, kRuns | kInspect | kText, Text, "LLAMA_ARG_CTX_SIZE"},
    {"--parse-special", "", "special tokens written in the text count as such", set<&Run::parse_special>, kRuns | kTokenize | kText, Text},
    {"--no-bos", "", "no special tokens are added at the ends", set<&Arguments::add_special, false>, kTokenize, Text},
    {"--chunk --from-chunk", "N", "skip the first N chunks (0)", integer<&Run::skip_chunks, 0>, kRuns, Text},
    {"--chunks", "N", "at most N chunks (-1: all)", integer<&Run::max_chunks, -1>, kRuns, Text},

    {"--output -o --output-file", "FILE", "where the matrix goes (imatrix.gguf)", path<&Run::output>, kMatrices, Matrix},
    {"--output-format", "FORMAT", "gguf, or dat: the legacy form that ik_llama.cpp reads (by suffix: .gguf, others dat); exact: gguf with all that 32 bits "
     "lose and the chunks that it holds, so that assay merge makes one whole of parts",
     [](Arguments& a, const Value& v) { a.options.format = parse_format(v.option, v.text); }, kMatrices, Matrix},
    {"--output-form", "YEAR", "2026: with NAME.stats; 2025: without, as "
     "llama-imatrix wrote until September 2026 (2026)",
     [](Arguments& a, const Value& v) { a.options.form = parse_form(v.option, v.text); }, kMatrices, Matrix},
    {"--force", "", "add chunks that several files hold as often as they are there", set<&Arguments::force>, kMerge, Matrix},
    {"--output-frequency -ofreq", "N", "save every N chunks (10; 0: only at the end)", save_every, kCalibrate, Matrix},
    {"--save-frequency", "N", "also keep a copy FILE.at_N every N chunks, those of --in-file counted (0: never)",
     integer<&Run::snapshot_every, 0>, kCalibrate, Matrix},
    {"--in-file", "FILES", "matrices to start from, or to merge: a list, or several times", paths<&Run::in_files>, kCalibrate, Matrix},
    {"--process-output", "", "collect the output projection too", set<&Run::process_output>, kCalibrate, Matrix},
    {"--output-tensor-name", "NAME", "which tensor that is, token_embd.weight where the output is tied to it (output.weight)", word<&Run::output_tensor_name>, kCalibrate, Matrix},
    {"--missing-experts", "AS", "experts that no token reached count as zero (as they are), as one (mean 1), or all tokens of the last "
     "wave go through them once more (zero)", missing_experts, kCalibrate, Matrix},
    {"--complete", "", "collect also what quantisers ask for and llama-imatrix leaves out: attn_kv_b of files with attn_k_b and "
     "attn_v_b, products behind the layers, stacked heads in the length that quantisers expect",
     set<&Run::complete>, kCalibrate, Matrix},
    {"--ppl", "", "compute the perplexity (default)", set<&Run::perplexity>, kCalibrate, Matrix},
    {"--no-ppl", "", "do not", set<&Run::perplexity, false>, kCalibrate, Matrix},
    {"--layer-similarity -lsim", "", "how much each layer changes its input (ik_llama.cpp)", set<&Run::similarity>, kCalibrate, Matrix},
    {"--nextn", "", "collect the blocks that predict ahead too (NextN, MTP), and compute their perplexity",
     set<&Run::nextn>, kCalibrate, Matrix},
    {"--show-statistics", "", "print a table about the first --in-file, and end",
     set<&Arguments::asked_mode, Mode::Statistics>, kCalibrate, Matrix},
    {"--statistics-form", "YEAR", "which table: 2026, or 2025 as llama-imatrix printed it until September 2026 (2026)",
     [](Arguments& a, const Value& v) { a.statistics_form = parse_form(v.option, v.text); }, kCalibrate, Matrix},
    {"--check-tensors --validate-quants -vq", "", "look for weights that are no numbers before the run",
     set<&Run::check_tensors>, kCalibrate, Matrix},
    {"--on-nan", "WHAT", "when NaN or infinity arises: stop the run, or skip-chunk, which leaves that chunk out as if the text did "
     "not have it (stop)", on_nan, kCalibrate, Matrix},

    {"--type", "TYPES", "round to these types, like q4_K,q5_0",
     [](Arguments& a, const Value& v) { add_types(a.sensitivity.types, v); }, kSensitivity, Rounding},
    {"--by", "PART", "what is rounded at a time: layer, kind or tensor (layer)", round_by, kSensitivity, Rounding},
    {"--imatrix", "FILE", "importance for the rounding, as a quantiser would use it",
     [](Arguments& a, const Value& v) { a.sensitivity.matrix = needed(v); }, kSensitivity, Rounding},
    {"--output -o", "FILE", "also write the result as JSON; assay recipe --sensitivity reads it",
     path<&Arguments::output>, kSensitivity, Rounding},

    {"--target-bpw", "N", "bits per weight of the whole", real<&Target::target_bpw>, kRecipes, Recipe},
    {"--target-size", "SIZE", "or its size: a number with k, m, g or t behind it",
     bytes<&Target::target_bytes>, kRecipes, Recipe},
    {"--keep", "REGEX=TYPE", "tensors that match keep this type; may be repeated",
     [](Arguments& a, const Value& v) { a.recipe.keep.push_back(recipe::parse_keep(v.text)); }, kRecipes, Recipe},
    {"--types", "TYPES", "the types to choose from, like q4_K,q5_K",
     [](Arguments& a, const Value& v) { add_types(a.recipe.types, v); }, kRecipes, Recipe},
    {"--sensitivity", "FILES", "what assay sensitivity -o measured: parts of the model weigh by it; several files (by layer, by "
     "kind) are fitted together", paths<&Arguments::sensitivity_files>, kRecipes, Recipe},
    {"--exact", "", "measure every row instead of a sample", set<&Target::max_rows, 0>, kRecipes, Recipe},
    {"--merge-tolerance", "X", "how much error merging neighbouring layers into one rule may add (0)",
     real<&Target::merge_tolerance>, kRecipes, Recipe},
    {"--rules", "FILE", "where the rules go (tensor-types.txt)", path<&Arguments::rules>, kRecipe, Recipe},
    {"--output -o", "FILE", "name of the quantised model in the printed commands (quantised.gguf)",
     path<&Arguments::output>, kRecipe, Recipe},
    {"--output -o --output-file", "PAGE", "where to write (report.html)", path<&Arguments::output>, kReport, Recipe},

    {"--threads -t", "N", "threads (one per core)", integer<&Run::n_threads, INT32_MIN>, kRuns | kRecipes, Machine, "LLAMA_ARG_THREADS"},
    {"--threads-batch -tb", "N", "the same, and wins over it", integer<&Arguments::threads_batch, INT32_MIN>, kRuns, Machine},
    {"--device -dev", "NAMES", "auto, cpu, cuda (every GPU), cuda:N or a list of these: chunks are dealt to all (auto)",
     device, kRuns, Machine, "LLAMA_ARG_DEVICE"},
    {"--gpu-layers -ngl --n-gpu-layers", "N", "0 is --device cpu; others leave it to the plan",
     gpu_layers, kRuns, Machine, "LLAMA_ARG_N_GPU_LAYERS"},
    {"--split-mode -sm", "MODE", "none: one GPU of the list; others: all of them", split_mode, kCalibrate, Machine, "LLAMA_ARG_SPLIT_MODE"},
    {"--main-gpu -mg", "N", "which one that is (0)", integer<&Arguments::main_gpu, INT32_MIN>, kCalibrate, Machine, "LLAMA_ARG_MAIN_GPU"},

    {"--precision", "P", "of the products: bf16 with f32 sums, f32 (the reference), or auto: bf16 where the hardware has it (auto)",
     [](Arguments& a, const Value& v) { a.options.precision = parse_precision(v.option, v.text); }, kRuns, Own},
    {"--isa", "LEVEL", "no instructions beyond scalar, avx2, avx512, avx512bf16 or amx (the best there is)", isa, kRuns, Own},
    {"--memory", "SIZE", "bound on the memory of the whole process, like 24g (what is free)", bytes<&Run::memory_bytes>, kRuns, Own},
    {"--spill", "DIR", "hidden states that do not fit go to a file in this folder, so that a model larger than memory is read once",
     [](Arguments& a, const Value& v) { a.options.spill_folder = needed(v, "folder"); }, kCalibrate, Own},
    {"--device-memory", "SIZE", "bound on what is taken of each GPU's memory (what is free)", bytes<&Run::device_memory_bytes>, kCalibrate, Own},
    {"--wave", "N", "chunks that go through a layer together; the result does not depend on it (0: by memory)",
     integer<&Run::wave_chunks, 0>, kCalibrate, Own},
    {"--checkpoint", "DIR", "folder where the state of the run is kept, for --resume (beside the output: FILE.checkpoint)",
     [](Arguments& a, const Value& v) { a.options.checkpoint_folder = needed(v, "folder"); }, kCalibrate, Own},
    {"--checkpoint-interval", "SECONDS", "time between two states (120, and longer where writing takes more than 1 % of the time)",
     [](Arguments& a, const Value& v) { a.options.checkpoint_seconds = parse_real(v.option, v.text, 0); }, kCalibrate, Own},
    {"--no-checkpoint", "", "keep no state", set<&Arguments::checkpoint, false>, kCalibrate, Own},
    {"--resume", "", "go on from the state of an earlier run of the same command; the result is that of an uninterrupted run",
     set<&Run::resume>, kCalibrate, Own},
    {"--output -o", "FILE", "also write the result as JSON", path<&Arguments::output>, kKld, Own},
    {"--report", "FILE", "one HTML page with tables and charts, readable without a network", path<&Arguments::report>, kCalibrate, Own},
    {"--program", "", "the steps of the model instead, with tensors, shapes and what is observed; layers that are alike once",
     set<&Arguments::program>, kInspect, Own},
    {"--layer", "N", "only those of this layer", integer<&Arguments::layer, 0>, kInspect, Own},
    {"--json", "", "numbers as JSON on standard output", set<&Arguments::numbers, NumbersAs::Json>,
     kRuns | kInspect | kStats | kSimilarity | kText, Own},
    {"--csv", "", "as comma-separated values", set<&Arguments::numbers, NumbersAs::Csv>, kRuns | kStats, Own},

    {"--verbosity -lv --log-verbosity", "N", "0 results, 1 errors, 2 warnings, 3 progress, 4 all (3)",
     verbosity, kRuns, Messages, "LLAMA_ARG_LOG_VERBOSITY"},
    {"--verbose -v --log-verbose", "", "everything", set<&Arguments::verbosity, Verbosity::Trace>, kRuns, Messages},
    {"--log-disable", "", "errors only", set<&Arguments::verbosity, Verbosity::Errors>, kRuns, Messages},
    {"--help -h --usage", "", "this text", nullptr, kEvery, Messages},
    {"--version", "", "the version", set<&Arguments::asked_mode, Mode::Version>, kCalibrate, Messages},
    {"--list-devices", "", "what can compute here", set<&Arguments::asked_mode, Mode::Devices>, kCalibrate, Messages},
};
// clang-format on

}  // namespace

std::span<const Option> working_options() noexcept { return kOptions; }

}  // namespace assay::cli
