#include "cli/arguments.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/temp_dir.h"

namespace assay::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Arguments run_with(Words more) {
    more.insert(more.begin(), {"-m", "model.gguf", "-f", "text.txt"});
    return parse_arguments(more);
}

TEST(Arguments, DefaultsAreThoseOfThePeers) {
    const Arguments a = run_with({});
    EXPECT_EQ(choose_mode(a), Mode::Collect);
    EXPECT_EQ(a.options.model, "model.gguf");
    EXPECT_EQ(a.options.dataset, "text.txt");
    EXPECT_EQ(a.options.output, "imatrix.gguf");
    EXPECT_EQ(a.options.n_ctx, 512);
    EXPECT_FALSE(a.ctx_size_given);
    EXPECT_EQ(a.options.save_every, 10);
    EXPECT_FALSE(a.options.save_every_given);
    EXPECT_EQ(a.options.max_chunks, -1);
    EXPECT_TRUE(a.options.perplexity);
    EXPECT_FALSE(a.escape);
    EXPECT_EQ(a.options.n_threads, 0);
    EXPECT_EQ(a.options.device, "auto");
    EXPECT_EQ(a.verbosity, Verbosity::Info);
    EXPECT_THAT(a.warnings, IsEmpty());
}

struct Case {
    Words typed;
    std::function<bool(const Arguments&)> holds;
};

class Field : public testing::TestWithParam<Case> {};

TEST_P(Field, IsSet) {
    const Arguments a = run_with(GetParam().typed);
    EXPECT_TRUE(GetParam().holds(a)) << testing::PrintToString(GetParam().typed);
    EXPECT_THAT(a.warnings, IsEmpty());
}

bool overrides(const Arguments& a, const gguf::Overrides& expected) {
    const auto same = [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.type == y.second.type && x.second.data == y.second.data;
    };
    return std::ranges::equal(a.options.metadata, expected, same);
}

INSTANTIATE_TEST_SUITE_P(
    Metadata, Field,
    testing::Values(
        Case{{"-okv", "a.b=int:-7,c=str:x:y", "--override-kv", "d=bool:false,e=float:1e6"},
             [](const auto& a) {
                 return overrides(a, {{"a.b", {gguf::ValueType::I64, gguf::ValueType::I64, std::int64_t{-7}}},
                                      {"c", gguf::text("x:y")},
                                      {"d", gguf::boolean(false)},
                                      {"e", gguf::f64(1e6)}});
             }},
        Case{{"--rope-freq-base", "5000", "--rope-scaling", "linear"},
             [](const auto& a) {
                 return overrides(a, {{"{arch}.rope.freq_base", gguf::f64(5000)},
                                      {"{arch}.rope.scaling.type", gguf::text("linear")}});
             }},
        Case{{"--rope-scale", "8", "--rope-freq-scale", "0.25"},  // the one typed last
             [](const auto& a) {
                 return overrides(a, {{"{arch}.rope.scaling.factor", gguf::f64(4)}});
             }},
        Case{{"--rope-freq-scale", "0.25", "--rope-scale", "8"},
             [](const auto& a) {
                 return overrides(a, {{"{arch}.rope.scaling.factor", gguf::f64(8)}});
             }},
        Case{{"--rope-freq-base", "7", "-okv", "llama.rope.freq_base=float:5"},  // its own option wins
             [](const auto& a) {
                 return overrides(
                     a, {{"llama.rope.freq_base", gguf::f64(5)}, {"{arch}.rope.freq_base", gguf::f64(7)}});
             }},
        Case{{"--rope-freq-base", "0", "--rope-freq-scale", "0", "--yarn-orig-ctx", "0"},
             [](const auto& a) { return overrides(a, {}); }},
        Case{{"--yarn-orig-ctx", "4096"}, [](const auto& a) {
                 return overrides(a, {{"{arch}.rope.scaling.original_context_length", gguf::u64(4096)}});
             }}));

INSTANTIATE_TEST_SUITE_P(
    All, Field,
    testing::Values(
        Case{{"-c", "64"}, [](const auto& a) { return a.options.n_ctx == 64 && a.ctx_size_given; }},
        Case{{"-c", "64", "-c", "32"}, [](const auto& a) { return a.options.n_ctx == 32; }},
        Case{{"-o", "x.dat"}, [](const auto& a) { return a.options.output == "x.dat" && !a.options.format; }},
        Case{{"--output-format", "dat"},
             [](const auto& a) { return a.options.format == imatrix::Format::Legacy; }},
        Case{{"--output-format=gguf"},
             [](const auto& a) { return a.options.format == imatrix::Format::Gguf; }},
        Case{{"--output-form", "2025"},
             [](const auto& a) {
                 return a.options.form == imatrix::Form::Of2025 && a.statistics_form == imatrix::Form::Of2026;
             }},
        Case{{"--statistics-form", "2025"},
             [](const auto& a) {
                 return a.options.form == imatrix::Form::Of2026 && a.statistics_form == imatrix::Form::Of2025;
             }},
        Case{{"-ofreq", "3"},
             [](const auto& a) { return a.options.save_every == 3 && a.options.save_every_given; }},
        Case{{"-ofreq", "0"}, [](const auto& a) { return a.options.save_every == 0; }},
        Case{{"--save-frequency", "5"}, [](const auto& a) { return a.options.snapshot_every == 5; }},
        Case{{"--chunk", "2"}, [](const auto& a) { return a.options.skip_chunks == 2; }},
        Case{{"--chunks", "-1"}, [](const auto& a) { return a.options.max_chunks == -1; }},
        Case{{"--chunks", "7"}, [](const auto& a) { return a.options.max_chunks == 7; }},
        Case{{"--process-output"}, [](const auto& a) { return a.options.process_output; }},
        Case{{"--complete"}, [](const auto& a) { return a.options.complete; }},
        Case{{"--missing-experts", "one"},
             [](const auto& a) { return a.options.missing_experts == calibrate::MissingExperts::One; }},
        Case{{"--missing-experts", "all"},
             [](const auto& a) { return a.options.missing_experts == calibrate::MissingExperts::All; }},
        Case{{"--output-tensor-name", "x"},
             [](const auto& a) { return a.options.output_tensor_name == "x"; }},
        Case{{"--no-ppl"}, [](const auto& a) { return !a.options.perplexity; }},
        Case{{"--no-ppl", "--ppl"}, [](const auto& a) { return a.options.perplexity; }},
        Case{{"--nextn"}, [](const auto& a) { return a.options.nextn && a.options.draft.empty(); }},
        Case{{"-md", "d.gguf"}, [](const auto& a) { return a.options.draft == "d.gguf"; }},
        Case{{"--parse_special"}, [](const auto& a) { return a.options.parse_special; }},
        Case{{"-lsim"}, [](const auto& a) { return a.options.similarity; }},
        Case{{"-e"}, [](const auto& a) { return a.escape; }},
        Case{{"-e", "--no-escape"}, [](const auto& a) { return !a.escape; }},
        Case{{"--in-file", "a,b", "--in-file", "c"},
             [](const auto& a) {
                 return choose_mode(a) == Mode::Collect &&
                        a.options.in_files == std::vector<std::filesystem::path>{"a", "b", "c"};
             }},
        Case{{"--in-file", "\"a,b\",c"},
             [](const auto& a) {
                 return a.options.in_files == std::vector<std::filesystem::path>{"a,b", "c"};
             }},
        Case{{"-t", "4"}, [](const auto& a) { return a.options.n_threads == 4; }},
        Case{{"-t", "-1"}, [](const auto& a) { return a.options.n_threads == 0; }},
        Case{{"-t", "4", "-tb", "8"}, [](const auto& a) { return a.options.n_threads == 8; }},
        Case{{"-dev", "CUDA0"}, [](const auto& a) { return a.options.device == "cuda:0"; }},
        Case{{"-dev", "CUDA1,cuda:0"}, [](const auto& a) { return a.options.device == "cuda:1,cuda:0"; }},
        Case{{"-ngl", "0"}, [](const auto& a) { return a.options.device == "cpu"; }},
        Case{{"-ngl", "99"}, [](const auto& a) { return a.options.device == "auto" && a.warnings.empty(); }},
        Case{{"-sm", "none"}, [](const auto& a) { return a.options.main_device == 0; }},
        Case{{"-sm", "none", "-mg", "2"}, [](const auto& a) { return a.options.main_device == 2; }},
        Case{{"-sm", "none", "-mg", "-1"}, [](const auto& a) { return a.options.device == "cpu"; }},
        Case{{"-sm", "row"}, [](const auto& a) { return !a.options.main_device; }},
        Case{{"--device-memory", "4G"},
             [](const auto& a) { return a.options.device_memory_bytes == std::uint64_t{4} << 30; }},
        Case{{"--precision", "F32"},
             [](const auto& a) { return a.options.precision == backend::Precision::F32; }},
        Case{{"--isa", "avx2"}, [](const auto& a) { return a.options.isa == Isa::Avx2; }},
        Case{{"--wave", "3"}, [](const auto& a) { return a.options.wave_chunks == 3; }},
        Case{{"--memory", "2k"}, [](const auto& a) { return a.options.memory_bytes == 2048; }},
        Case{{"--checkpoint", "kept"}, [](const auto& a) { return a.options.checkpoint_folder == "kept"; }},
        Case{{"--checkpoint-interval", "0.5"},
             [](const auto& a) { return a.options.checkpoint_seconds == 0.5; }},
        Case{{"--no-checkpoint"}, [](const auto& a) { return !a.checkpoint; }},
        Case{{"--resume"}, [](const auto& a) { return a.options.resume; }},
        Case{{"--report", "r.html"}, [](const auto& a) { return a.report == "r.html"; }},
        Case{{"--json", "--csv"}, [](const auto& a) { return a.numbers == NumbersAs::Csv; }},
        Case{{"--check-tensors"}, [](const auto& a) { return a.options.check_tensors; }},
        Case{{"-vq"}, [](const auto& a) { return a.options.check_tensors; }},
        Case{{"--split-on", "\\n--\\n"},
             [](const auto& a) { return a.options.documents.split_on == "\n--\n"; }},
        Case{{"--chat-template", "t.jinja"},
             [](const auto& a) { return a.options.documents.chat_template == "t.jinja"; }},
        Case{{"--chat-template-kwargs", "{}"},
             [](const auto& a) { return a.options.documents.render.variables == "{}"; }},
        Case{{"--template-date", "2026-11-27"},
             [](const auto& a) { return a.options.documents.render.now == "2026-11-27T00:00:00"; }},
        Case{{"--weights", "user=0.5"},
             [](const auto& a) { return a.options.documents.weights.of[2] == 512; }},
        Case{{}, [](const auto& a) { return a.options.documents.may_be_json_lines; }},
        Case{{"--on-nan", "skip-chunk"},
             [](const auto& a) { return a.options.on_nan == calibrate::OnNan::SkipChunk; }},
        Case{{"--on-nan", "skip-chunk", "--on-nan", "stop"},
             [](const auto& a) { return a.options.on_nan == calibrate::OnNan::Stop; }},
        Case{{"-lv", "1"}, [](const auto& a) { return a.verbosity == Verbosity::Errors; }},
        Case{{"-lv", "99"}, [](const auto& a) { return a.verbosity == Verbosity::Trace; }},
        Case{{"-v"}, [](const auto& a) { return a.verbosity == Verbosity::Trace; }},
        Case{{"--log-disable"}, [](const auto& a) { return a.verbosity == Verbosity::Errors; }}));

struct Warned {
    Words typed;
    const char* warning;
};

class Warning : public testing::TestWithParam<Warned> {};

TEST_P(Warning, IsGivenOnce) {
    EXPECT_THAT(run_with(GetParam().typed).warnings, ElementsAre(HasSubstr(GetParam().warning)));
}

INSTANTIATE_TEST_SUITE_P(All, Warning,
                         testing::Values(Warned{{"--attention", "causal"}, "attention is causal"},
                                         Warned{{"--yarn-ext-factor", "-1"},
                                                "a value below 0 is the model's"},
                                         Warned{{"-mg", "1"}, "--main-gpu has no effect without"},
                                         Warned{{"-ts", "3,1"}, "chunks are dealt evenly"},
                                         Warned{{"-cmoe"}, "as its memory allows"},
                                         Warned{{"-f", "other.txt"}, "only the last one is used"},
                                         Warned{{"-b", "1", "-b", "2"}, "-b has no effect"}));

struct Wrong {
    Words typed;
    const char* message;
};

class Mistake : public testing::TestWithParam<Wrong> {};

TEST_P(Mistake, IsOneSentence) {
    try {
        choose_mode(parse_arguments(GetParam().typed));
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Usage);
        EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, Mistake,
    testing::Values(
        Wrong{{}, "No prompt provided and no precomputed matrices (--in-file) to combine"},
        Wrong{{"-m", "a"}, "No prompt provided"}, Wrong{{"-m", "a", "-p", ""}, "No prompt provided"},
        Wrong{{"-f", "a"}, "--model: is required"}, Wrong{{"-m", "a", "-f", ""}, "--file: needs the name"},
        Wrong{{"-m", "a", "-f", "b", "-c", "0"}, "--ctx-size: 0 is too small"},
        Wrong{{"-m", "a", "-f", "b", "-c", "x"}, "--ctx-size: 'x' is no whole number"},
        Wrong{{"-m", "a", "-f", "b", "-c", "9999999999"}, "--ctx-size: 9999999999 is too large"},
        Wrong{{"-m", "a", "-f", "b", "-o", ""}, "--output: needs the name"},
        Wrong{{"-m", "a", "-f", "b", "--chunk", "-1"}, "--chunk: -1 is too small"},
        Wrong{{"-m", "a", "-f", "b", "-ofreq", "-1"}, "--output-frequency: -1 is too small"},
        Wrong{{"-m", "a", "-f", "b", "--output-format", "jsonl"}, "'jsonl' is no format of a matrix"},
        Wrong{{"-m", "a", "-f", "b", "-sm", "some"}, "'some' is no split mode"},
        Wrong{{"-m", "a", "-f", "b", "-mg", "x"}, "--main-gpu: 'x' is no whole number"},
        Wrong{{"-m", "a", "-f", "b", "-dev", ","}, "--device: needs a value"},
        Wrong{{"-m", "a", "-f", "b", "-okv", "a.b"}, "--override-kv: 'a.b' is no override"},
        Wrong{{"-m", "a", "-f", "b", "-okv", "=int:1"}, "'=int:1' is no override"},
        Wrong{{"-m", "a", "-f", "b", "-okv", "a=int:1,b=bool:yes"}, "'bool:yes' is no value"},
        Wrong{{"-m", "a", "-f", "b", "-okv", "a=int:1.5"}, "'1.5' is no whole number"},
        Wrong{{"-m", "a", "-f", "b", "-okv", "a=float:nan"}, "'nan' is no number"},
        Wrong{{"-m", "a", "-f", "b", "--rope-scale", "-2"}, "--rope-scale: -2 is too small"},
        Wrong{{"-m", "a", "-f", "b", "--rope-scaling", "ntk"}, "'ntk' is no kind of scaling"},
        Wrong{{"-m", "a", "-f", "b", "--precision", "f16"}, "'f16' is no precision"},
        Wrong{{"-m", "a", "-f", "b", "--isa", "sse"}, "'sse' is no instruction set"},
        Wrong{{"-m", "a", "-f", "b", "-dev", ","}, "--device: needs a value"},
        Wrong{{"--show-statistics"}, "a single imatrix file is required to compute tensor statistics"},
        Wrong{{"--show-statistics", "--statistics-form", "2025", "--in-file", "a,b"}, "--in-file gave 2"},
        Wrong{{"--statistics-form", "2024"}, "'2024' is no form of llama-imatrix; expected 2025 or 2026"},
        Wrong{{"-m", "a", "-f", "b", "--in-file", "\"a,b"}, "--in-file: a quote is not closed"},
        Wrong{{"-m", "a", "-f", "b", "-okv", "a=str:x,y"}, "'y' is no override"},
        Wrong{{"-m", "a", "-f", "b", "--attention", "non-causal"}, "'non-causal' would give another matrix"},
        Wrong{{"-m", "a", "-f", "b", "--yarn-ext-factor", "0"}, "--yarn-ext-factor: this part of YaRN is"},
        Wrong{{"-m", "a", "-f", "b", "--yarn-beta-fast", "x"}, "--yarn-beta-fast: 'x' is no number"}));

TEST(Modes, FollowFromWhatIsGiven) {
    EXPECT_EQ(choose_mode(parse_arguments({"--in-file", "a"})), Mode::Merge);
    EXPECT_EQ(choose_mode(parse_arguments({"-m", "x", "--in-file", "a"})), Mode::Merge);
    EXPECT_EQ(choose_mode(parse_arguments({"--in-file", "a", "--show-statistics"})), Mode::Statistics);
    EXPECT_EQ(choose_mode(parse_arguments({"--in-file", "a,b", "--show-statistics"})), Mode::Statistics);
    EXPECT_EQ(choose_mode(parse_arguments({"-m", "x", "-p", "text"})), Mode::Collect);
    EXPECT_TRUE(parse_arguments({"-m", "x", "-c", "x", "--help"}).help) << "the rest is not looked at";
    EXPECT_TRUE(parse_arguments({"--usage"}).help);
    EXPECT_EQ(choose_mode(parse_arguments({"--version"})), Mode::Version);
    EXPECT_EQ(choose_mode(parse_arguments({"--list-devices"})), Mode::Devices);
}

TEST(Text, LastSourceWins) {
    const Arguments prompt = parse_arguments({"-m", "x", "-f", "a", "-p", "text"});
    EXPECT_EQ(prompt.text_from, TextFrom::Prompt);
    EXPECT_EQ(prompt.options.dataset, "");
    const Arguments binary = parse_arguments({"-m", "x", "-p", "text", "-bf", "a"});
    EXPECT_EQ(binary.text_from, TextFrom::BinaryFile);
    EXPECT_EQ(binary.options.dataset, "a");
}

TEST(Text, LosesOneTrailingLineFeedUnlessBinary) {
    const test::TempDir folder;
    const std::string path = (folder / "text").string();
    std::ofstream(path, std::ios::binary) << "a\\n\n\n";
    EXPECT_EQ(read_text(parse_arguments({"-m", "x", "-f", path})), "a\\n\n");
    EXPECT_EQ(read_text(parse_arguments({"-m", "x", "-f", path, "-e"})), "a\n\n");
    EXPECT_EQ(read_text(parse_arguments({"-m", "x", "-bf", path, "-e"})), "a\\n\n\n");
    EXPECT_EQ(read_text(parse_arguments({"-m", "x", "-p", "a\\n\n", "-e"})), "a\n\n");
}

TEST(Text, MayNotBeEmpty) {
    const test::TempDir folder;
    const std::string path = (folder / "text").string();
    std::ofstream(path) << "\n";
    EXPECT_THROW(read_text(parse_arguments({"-m", "x", "-f", path})), Error);
    EXPECT_THROW(read_text(parse_arguments({"-m", "x", "-f", path + "-missing"})), Error);
}

/// Sets a variable for the length of a test.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~Variable() { unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* name_;
};

TEST(Environment, StandsInForOptions) {
    const Variable model("LLAMA_ARG_MODEL", "env.gguf"), ctx("LLAMA_ARG_CTX_SIZE", "64"),
        n("LLAMA_ARG_THREADS", "nonsense"), main_gpu("LLAMA_ARG_MAIN_GPU", "2");
    const Variable layers("LLAMA_ARG_N_GPU_LAYERS", "99"), split("LLAMA_ARG_SPLIT_MODE", "none");
    const Arguments a = parse_arguments({"-f", "text.txt", "-t", "5"});
    EXPECT_EQ(a.options.model, "env.gguf");
    EXPECT_EQ(a.options.n_ctx, 64);
    EXPECT_TRUE(a.ctx_size_given);
    EXPECT_EQ(a.options.main_device, 2);
    EXPECT_EQ(a.options.n_threads, 5) << "the command line wins, and the variable is not looked at";
    EXPECT_THAT(a.warnings, IsEmpty()) << "an environment shared with other programs is no request";
    EXPECT_EQ(parse_arguments({"-f", "x", "-t", "5"}, kSensitivity).options.model, "env.gguf");
    EXPECT_EQ(parse_arguments({"-p", "x"}, kTokenize).options.model, "") << "of runs alone";
}

TEST(Environment, RotarySettingsAreHeard) {
    const Variable base("LLAMA_ARG_ROPE_FREQ_BASE", "500"), scale("LLAMA_ARG_ROPE_SCALE", "4"),
        type("LLAMA_ARG_ROPE_SCALING_TYPE", "yarn"), original("LLAMA_ARG_YARN_ORIG_CTX", "32");
    const Words typed{"--rope-freq-base", "500", "--rope-scaling",  "yarn",
                      "--rope-scale",     "4",   "--yarn-orig-ctx", "32"};
    const auto by_key = [](gguf::Overrides list) {
        std::ranges::sort(list, {}, &std::pair<std::string, gguf::Value>::first);
        return list;
    };
    Arguments heard = run_with({});
    heard.options.metadata = by_key(heard.options.metadata);
    EXPECT_EQ(heard.options.metadata.size(), 4u);
    EXPECT_TRUE(overrides(heard, by_key(run_with(typed).options.metadata)));
    // The two ways to say a scale stand for one thing: what is typed wins.
    const Arguments other = run_with({"--rope-freq-scale", "0.5"});
    EXPECT_EQ(std::ranges::count(other.options.metadata, "{arch}.rope.scaling.factor",
                                 &std::pair<std::string, gguf::Value>::first),
              1);
    EXPECT_EQ(std::get<double>(other.options.metadata.back().second.data), 2);
}

TEST(Environment, MistakesNameTheVariable) {
    const Variable extension("LLAMA_ARG_YARN_EXT_FACTOR", "1");
    try {
        run_with({});
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::StartsWith("LLAMA_ARG_YARN_EXT_FACTOR: this part of YaRN"));
    }
}

TEST(Environment, WhatIsNotHeardIsNamedInOneWarning) {
    const Variable batch("LLAMA_ARG_BATCH", "512"), empty("LLAMA_ARG_UBATCH", ""),
        repository("LLAMA_ARG_HF_REPO", "a/b"), other("LLAMA_CACHE", "x");
    const Arguments a = run_with({});
    ASSERT_EQ(a.warnings.size(), 1u);
    EXPECT_THAT(a.warnings[0],
                testing::AllOf(HasSubstr("LLAMA_ARG_BATCH"), HasSubstr("LLAMA_ARG_HF_REPO"),
                               testing::Not(HasSubstr("UBATCH")), testing::Not(HasSubstr("LLAMA_CACHE"))));
}

TEST(Arguments, InspectHearsItsOwn) {
    const Arguments a = parse_arguments({"model.gguf", "--program", "--layer", "3", "-c", "64"}, kInspect);
    EXPECT_TRUE(a.program);
    EXPECT_EQ(a.layer, 3);
    EXPECT_EQ(a.options.n_ctx, 64);
    EXPECT_FALSE(parse_arguments({"model.gguf"}, kInspect).layer);
}

TEST(Recipes, AreAskedForWithNumbers) {
    const auto recipe = [](Words words) { return parse_arguments(words, kRecipe); };
    EXPECT_EQ(recipe({"--target-bpw", "4.5"}).recipe.target_bpw, 4.5);
    EXPECT_TRUE(recipe({"--target-size", "4g"}).asks_for_recipe());
    EXPECT_FALSE(recipe({"--exact"}).asks_for_recipe());
    EXPECT_EQ(threads_of(recipe({"-t", "3"})), 3);
    EXPECT_EQ(threads_of(recipe({"-t", "2147483647"})), 4096) << "no more than are made";
    EXPECT_GE(threads_of(recipe({})), 1);
    for (const char* option : {"--target-bpw", "--merge-tolerance"})
        for (const char* word : {"-1", "nan", "inf", "4x", ""})
            EXPECT_THROW(recipe({option, word}), Error) << option << " " << word;
}

}  // namespace
}  // namespace assay::cli
