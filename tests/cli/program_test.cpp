// The program as users run it: exit codes, both streams, files. On a small model of random weights.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/shell.h"
#include "core/file.h"
#include "support/compare.h"
#include "support/fixture.h"

namespace assay::cli {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class Program : public testing::Test {
  protected:
    static void SetUpTestSuite() { fixture_ = new test::Fixture("llama-dense"); }
    static void TearDownTestSuite() {
        delete fixture_;
        fixture_ = nullptr;
    }

    /// `$RUN` in the line is the program with model, text and context of the fixture, in f32; `$MODEL` and
    /// `$TEXT` these two.
    Outcome run(const std::string& line) const {
        const std::string base = fmt::format(
            "MODEL={} TEXT={}; RUN=\"$ASSAY -m $MODEL -f $TEXT -c {} --device cpu --precision f32 -t 2\"; ",
            fixture_->model().string(), fixture_->run().text.string(), fixture_->run().n_ctx);
        return shell(folder_, base + line);
    }
    std::filesystem::path file(const std::string& name) const { return folder_ / name; }

    static test::Fixture* fixture_;
    test::TempDir folder_;
};

test::Fixture* Program::fixture_ = nullptr;

TEST_F(Program, CollectsWhatThePeerCollects) {
    const Outcome o = run("$RUN --chunks 6 --process-output -o m.gguf");
    EXPECT_EQ(o.code, 0) << o.err;
    // stdout: what scripts read and nothing else.
    EXPECT_THAT(o.out,
                MatchesRegex("\\[1\\][0-9.]+,\\[2\\][0-9.]+,\\[3\\][0-9.]+,\\[4\\][0-9.]+,\\[5\\][0-9.]+,"
                             "\\[6\\][0-9.]+,\nFinal estimate: PPL = [0-9.]+ \\+/- [0-9.]+\n"));
    EXPECT_THAT(o.err, HasSubstr("compute_imatrix: computing over 6 chunks, n_ctx=128, batch_size="));
    EXPECT_THAT(o.err, HasSubstr("save_imatrix: stored collected data after 6 chunks in m.gguf"));
    EXPECT_THAT(o.err, HasSubstr("wrote m.gguf in the GGUF format, 6 chunks"));
    EXPECT_THAT(o.err, Not(HasSubstr("\r"))) << "no redrawing where there is no terminal";
    EXPECT_THAT(test::differences(test::read_matrix(file("m.gguf")), fixture_->matrix()), testing::IsEmpty());
}

TEST_F(Program, SaysWhichFormatASuffixGot) {
    const Outcome o = run("$RUN --chunks 2 -o m.dat --no-ppl");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.out, "\n");
    EXPECT_THAT(o.err,
                HasSubstr("wrote m.dat in the legacy format, 2 chunks (the name does not end in .gguf"));
}

TEST_F(Program, QuietIsQuiet) {
    const Outcome o = run("$RUN --chunks 2 -lv 0 -ub 64");
    EXPECT_EQ(o.code, 0);
    EXPECT_EQ(o.err, "");
}

TEST_F(Program, VerboseSaysOfEachTensorWhatItHas) {
    const Outcome o = run("$RUN --chunks 2 --verbose");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_THAT(o.err, testing::ContainsRegex("\n  blk.0.attn_q.weight  *[0-9]+ tokens\n"));
    EXPECT_THAT(o.err, testing::ContainsRegex("\n  output_norm.weight  *- vectors are never quantised\n"));
    EXPECT_THAT(o.err, testing::Not(HasSubstr("\\u000a")));
}

TEST_F(Program, WarnsOfOptionsWithoutEffect) {
    const Outcome o = run("$RUN --chunks 2 -b 512 -fa on");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_THAT(o.err, HasSubstr("warning: -b has no effect"));
    EXPECT_THAT(o.err, HasSubstr("warning: -fa has no effect"));
}

TEST_F(Program, SaysHowChunksAreDealt) {
    const Outcome o = run("$RUN --chunks 5 --wave 3 --device cpu,cpu -cmoe -o two.gguf");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_THAT(o.err, HasSubstr("plan     2 waves of 3 chunks, dealt to 2 devices, the model in memory"));
    EXPECT_THAT(o.err, HasSubstr("warning: -cmoe has no effect: layers go to the device one after another"));
    const Outcome one = run("$RUN --chunks 5 --device cpu -o one.gguf");
    EXPECT_EQ(o.out, one.out);
    EXPECT_THAT(one.err, Not(HasSubstr("dealt to")));
    EXPECT_EQ(read_file(file("two.gguf")) == read_file(file("one.gguf")), true);
}

TEST_F(Program, MetadataMayBeOverridden) {
    const Outcome plain = run("$RUN --chunks 2");
    const Outcome turned = run("$RUN --chunks 2 --rope-freq-base 100");
    const Outcome same = run("$RUN --chunks 2 -okv llama.rope.freq_base=float:100");
    EXPECT_EQ(turned.code, 0) << turned.err;
    EXPECT_NE(turned.out, plain.out);
    EXPECT_EQ(turned.out, same.out);
    EXPECT_THAT(same.err, HasSubstr("override llama.rope.freq_base = 100 (the file: 10000)\n"));
    EXPECT_THAT(same.err, Not(HasSubstr("warning")));
    EXPECT_EQ(run("LLAMA_ARG_ROPE_FREQ_BASE=100 $RUN --chunks 2").out, turned.out);
    const Outcome wrong = run("$RUN --chunks 2 -okv general.architecture=int:1");
    EXPECT_EQ(wrong.code, 1);
    EXPECT_THAT(wrong.err, HasSubstr("general.architecture is a string in the file"));
}

TEST_F(Program, OverridesThatNothingReadsAreNamed) {
    const Outcome o =
        run("$RUN --chunks 2 -okv llama.rope.frequency_base=float:100,general.version=str:x "
            "-okv general.name=str:other");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.out, run("$RUN --chunks 2").out);
    EXPECT_THAT(o.err, HasSubstr("warning: the override of llama.rope.frequency_base has no effect"));
    EXPECT_THAT(o.err, HasSubstr("warning: the override of general.version has no effect"));
    EXPECT_THAT(o.err, HasSubstr("override general.name = 'other'"));
    const Outcome ids = run("$ASSAY tokenize -m $MODEL -p x -okv tokenizer.ggml.add_bos=bool:false");
    EXPECT_THAT(ids.err, HasSubstr("the override of tokenizer.ggml.add_bos has no effect"));
    const Outcome table =
        run("$ASSAY sensitivity -m $MODEL -f $TEXT -c 128 --chunks 1 --type q4_0 --by kind "
            "-okv llama.rope.freq_base=float:100,llama.x=int:1");
    EXPECT_THAT(table.err, HasSubstr("override llama.rope.freq_base = 100"));
    EXPECT_THAT(table.err, HasSubstr("the override of llama.x has no effect"));
}

TEST_F(Program, CommasInNamesAreQuoted) {
    ASSERT_EQ(run("$RUN --chunks 2 -o 'a,b.gguf' --no-ppl && cp a,b.gguf c.gguf").code, 0);
    const Outcome both = run("$ASSAY --in-file 'c.gguf,\"a,b.gguf\"' -o both.gguf");
    EXPECT_EQ(both.code, 0) << both.err;
    EXPECT_THAT(both.err, HasSubstr("wrote both.gguf in the GGUF format, 4 chunks"));
    EXPECT_THAT(run("$ASSAY --in-file a,b.gguf -o both.gguf").err, HasSubstr("assay: a: cannot open"));
}

TEST_F(Program, SaysWhenNothingIsCollectedOrMerged) {
    const Outcome output = run("$RUN --chunks 2 --process-output --output-tensor-name head.weight -o a.gguf");
    EXPECT_EQ(output.code, 0);
    EXPECT_THAT(output.err, HasSubstr("warning: --process-output collects nothing"));
    EXPECT_THAT(run("$RUN --chunks 2 --process-output").err, Not(HasSubstr("collects nothing")));
}

TEST_F(Program, MergesConvertsAndPrintsStatisticsWithoutAModel) {
    ASSERT_EQ(
        run("$RUN --chunks 2 -o a.gguf && $RUN --chunk 2 --chunks 2 -o b.gguf && $RUN --chunks 4 -o ab.gguf")
            .code,
        0);
    const Outcome merged = run("$ASSAY --in-file a.gguf,b.gguf -o sum.gguf");
    EXPECT_EQ(merged.code, 0) << merged.err;
    EXPECT_EQ(merged.out, "");
    EXPECT_THAT(merged.err, HasSubstr("main : saving combined imatrix to 'sum.gguf'"));
    EXPECT_THAT(test::differences(test::read_matrix(file("sum.gguf")), test::read_matrix(file("ab.gguf"))),
                testing::IsEmpty());
    EXPECT_EQ(run("$ASSAY report sum.gguf -o sum.html").code, 0) << "as many chunks each, other losses";
    EXPECT_EQ(run("$ASSAY --in-file sum.gguf -o sum.dat").code, 0);
    const Outcome statistics = run("$ASSAY --in-file sum.dat -c 128 --show-statistics");
    EXPECT_EQ(statistics.code, 0) << statistics.err;
    EXPECT_THAT(statistics.out, HasSubstr("\nComputing tensor statistics for sum.dat (14 tensors)\n"));
    const Outcome older = run("$ASSAY --in-file sum.dat -c 128 --show-statistics --statistics-form 2025");
    EXPECT_EQ(older.code, 0) << older.err;
    EXPECT_THAT(older.out, HasSubstr("\nComputing statistics for sum.dat (14 tensors)\n"));
    const Outcome two = run("$ASSAY --in-file sum.gguf,a.gguf --show-statistics");
    EXPECT_EQ(two.code, 0);
    EXPECT_THAT(two.err, HasSubstr("warning: statistics are those of sum.gguf alone"));
    EXPECT_EQ(two.out, run("$ASSAY --in-file sum.gguf --show-statistics").out);
    EXPECT_THAT(run("$ASSAY stats sum.gguf --csv").out, testing::StartsWith("name,layer,tensor"));
    EXPECT_TRUE(nlohmann::json::accept(run("$ASSAY stats sum.gguf --json").out));
}

TEST_F(Program, StartsFromAMatrix) {
    ASSERT_EQ(run("$RUN --chunks 2 -o a.gguf && $RUN --chunks 4 -o ab.gguf").code, 0);
    EXPECT_EQ(run("$RUN --in-file a.gguf --chunk 2 --chunks 2 -o sum.gguf").code, 0);
    EXPECT_THAT(test::differences(test::read_matrix(file("sum.gguf")), test::read_matrix(file("ab.gguf"))),
                testing::IsEmpty());
}

TEST_F(Program, StoresSimilarityAndReports) {
    const Outcome o = run("$RUN --chunks 2 -lsim -o m.gguf --report r.html");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_THAT(
        o.out,
        HasSubstr("\n======================== sorted layer importances\n  0: Layer   0, <cos_sim> = "));
    EXPECT_THAT(text_of(file("r.html")), testing::StartsWith("<!"));
    EXPECT_THAT(run("$ASSAY similarity m.gguf").out, HasSubstr("sorted attention importances"));
    EXPECT_EQ(run("$ASSAY report m.gguf m.gguf -o two.html").code, 0);
    const Outcome recipe = run(
        fmt::format("$ASSAY report m.gguf -m {} --target-bpw 15 -o recipe.html", fixture_->model().string()));
    EXPECT_EQ(recipe.code, 0) << recipe.err;
    EXPECT_THAT(text_of(file("recipe.html")), HasSubstr("llama-quantize"));
    EXPECT_THAT(text_of(file("two.html")), Not(HasSubstr("llama-quantize")));
    ASSERT_EQ(run("$RUN --chunks 2 -o plain.gguf").code, 0);
    const Outcome none = run("$ASSAY similarity plain.gguf");
    EXPECT_EQ(none.code, 1);
    EXPECT_THAT(none.err, HasSubstr("holds no layer similarity"));
}

TEST_F(Program, PrintsNumbersForPrograms) {
    const Outcome json = run("$RUN --chunks 2 --json");
    EXPECT_EQ(json.code, 0) << json.err;
    const auto parsed = nlohmann::json::parse(json.out, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << json.out;
    EXPECT_EQ(parsed["chunks"], 2);
    EXPECT_GT(parsed["perplexity"], 1.0);
    EXPECT_THAT(run("$RUN --chunks 2 --csv").out, MatchesRegex("chunk,perplexity\n1,[0-9.]+\n2,[0-9.]+\n"));
}

TEST_F(Program, InspectsModelsAndMatrices) {
    const std::string inspect = fmt::format("$ASSAY inspect {}", fixture_->model().string());
    const Outcome text = run(inspect);
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_THAT(text.out, HasSubstr("  general.architecture = \"llama\"\n"));
    EXPECT_THAT(text.out, ContainsRegex("tokenizer.ggml.tokens = \\[.*\\.\\.\\.\\] \\([0-9]+ values\\)"));
    EXPECT_THAT(text.out, ContainsRegex("\n  all .* bits per weight\n"));
    const auto json = nlohmann::json::parse(run(inspect + " --json").out, nullptr, false);
    ASSERT_TRUE(json.is_object());
    EXPECT_GT(json["metadata"]["tokenizer.ggml.tokens"].size(), 100u) << "whole arrays in JSON";
    EXPECT_EQ(json["tensors"].size(), json["totals"].back()["tensors"]);
    const std::string dat = ASSAY_GOLDEN_DIR "/imatrix/sample.dat";
    EXPECT_THAT(run("$ASSAY inspect " + dat).out, HasSubstr("legacy importance matrix"));
    EXPECT_TRUE(nlohmann::json::accept(run("$ASSAY inspect --json " + dat).out));
}

TEST_F(Program, ShowsTheStepsOfAModel) {
    const std::string inspect = fmt::format("$ASSAY inspect {} --program", fixture_->model().string());
    const Outcome text = run(inspect);
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_THAT(text.out, HasSubstr("\nstart\n"));
    EXPECT_THAT(text.out, ContainsRegex("blk\\.N\\.attn_output\\.weight .* sums of [0-9]+ columns\n"));
    EXPECT_THAT(run(inspect + " --layer 1").out, Not(HasSubstr("\nstart\n")));
    EXPECT_THAT(run(inspect + " --layer 99").err, HasSubstr("--layer: 99 is none of the"));
    EXPECT_THAT(run(inspect + " --json").err, HasSubstr("--program is text"));
}

TEST_F(Program, TokenizesOneIdALine) {
    const std::string model = fixture_->model().string();
    const Outcome with = run("$ASSAY tokenize -m " + model + " -p 'Hello world'");
    EXPECT_EQ(with.code, 0) << with.err;
    EXPECT_THAT(with.out, MatchesRegex("([0-9]+\n)+"));
    const Outcome without = run("$ASSAY tokenise --no-bos -m " + model + " -p 'Hello world'");
    EXPECT_THAT(with.out, testing::EndsWith(without.out));
}

TEST_F(Program, EachCommandHasHelp) {
    for (const char* command : {"", "calibrate", "tokenize", "inspect", "stats", "similarity", "report",
                                "sensitivity", "kld", "devices"}) {
        const Outcome o = run(fmt::format("$ASSAY {} --help", command));
        EXPECT_EQ(o.code, 0) << command;
        EXPECT_THAT(o.out, HasSubstr("usage: assay")) << command;
    }
    EXPECT_THAT(run("$ASSAY --version").out, MatchesRegex("assay [0-9.]+\n"));
    EXPECT_THAT(run("$ASSAY devices").out, testing::StartsWith("cpu "));
}

TEST_F(Program, SensitivityFeedsARecipe) {
    const std::string sensitivity =
        fmt::format("$ASSAY sensitivity -m {} -f {} -c {} --chunks 2 --type q4_0,q8_0 --by kind",
                    fixture_->model().string(), fixture_->run().text.string(), fixture_->run().n_ctx);
    const Outcome text = run(sensitivity + " -o s.json");
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_THAT(text.out, testing::StartsWith("perplexity "));
    EXPECT_THAT(text.out, ContainsRegex("\nattn_v +q4_0 +65536 +0\\.[0-9]+"));
    EXPECT_THAT(text.err, HasSubstr("18 variants, 1 reading of the weights"));
    EXPECT_THAT(text.err, HasSubstr("wrote s.json"));
    const Outcome json = run(sensitivity + " --json");
    EXPECT_EQ(json.out, text_of(file("s.json")));
    EXPECT_EQ(nlohmann::json::parse(json.out).at("units").size(), 18u);
    EXPECT_THAT(run(sensitivity + " --csv").out, testing::StartsWith("unit,type,weights,"));

    const std::string recipe = "$ASSAY recipe -m " + fixture_->model().string() + " --target-bpw 7 ";
    const Outcome alone = run(recipe + "--sensitivity s.json");
    EXPECT_EQ(alone.code, 0) << alone.err;
    EXPECT_THAT(alone.out, HasSubstr("expected divergence in nats"));
    EXPECT_THAT(alone.out, Not(HasSubstr("--imatrix")));
    EXPECT_EQ(run("$RUN --chunks 2 -o m.gguf").code, 0);
    const Outcome both = run(recipe + "m.gguf --sensitivity s.json");
    EXPECT_THAT(both.out, HasSubstr("--imatrix m.gguf"));
    EXPECT_THAT(both.out, HasSubstr("expected divergence in nats"));
}

TEST_F(Program, ComparesFilesOfAModel) {
    const std::string kld = "$ASSAY kld $MODEL copy.gguf $MODEL -f $TEXT -c 128 --chunks 2 ";
    ASSERT_EQ(run("cp $MODEL copy.gguf").code, 0);
    const Outcome text = run(kld + "-o k.json");
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_THAT(text.out, testing::StartsWith("base "));
    EXPECT_THAT(text.out, ContainsRegex("\ncopy.gguf .* 100\\.000 +0\\.000\n"));
    EXPECT_THAT(text.err, HasSubstr("2 variants, 1 reading of the weights"));
    EXPECT_THAT(text.err, HasSubstr("wrote k.json"));
    EXPECT_EQ(run(kld + "--json").out, text_of(file("k.json")));
    EXPECT_THAT(run(kld + "--csv").out, testing::StartsWith("file,bits_per_weight,"));
}

struct Bad {
    const char* line;
    const char* message;
};

class Failure : public Program, public testing::WithParamInterface<Bad> {};

TEST_P(Failure, IsOneSentenceAndExitCodeOne) {
    const Outcome o = run(GetParam().line);
    EXPECT_EQ(o.code, 1);
    EXPECT_EQ(o.out, "");
    EXPECT_THAT(o.err, HasSubstr(fmt::format("assay: {}", GetParam().message)));
    EXPECT_THAT(o.err, testing::EndsWith("\n"));
}

INSTANTIATE_TEST_SUITE_P(
    All, Failure,
    testing::Values(
        Bad{"$ASSAY", "No prompt provided"}, Bad{"$ASSAY -m missing.gguf -f missing.txt", "missing.txt: "},
        Bad{"$RUN -m missing.gguf", "missing.gguf: "},
        Bad{"$RUN --lora missing.gguf", "--lora: adapters are not applied"},
        Bad{"$RUN --control-vector-scaled x 0.5", "--control-vector-scaled: control vectors are not"},
        Bad{"$RUN --ctx-sise 3", "--ctx-sise: unknown option, is --ctx-size meant?"},
        Bad{"$ASSAY stat x", "stat: unknown command"}, Bad{"$RUN -c 100000", ""},
        Bad{"$RUN -o missing/m.gguf", "missing"}, Bad{"$RUN --device teapot", ""},
        Bad{"$ASSAY --in-file missing.gguf", "missing.gguf: "},
        Bad{"$ASSAY stats", "stats: takes one matrix"}, Bad{"$ASSAY inspect missing", "missing: "},
        Bad{"$ASSAY inspect .", ".: "},
        Bad{"$ASSAY inspect x --layer 0", "--layer: is of --program, which is not given"},
        Bad{"$ASSAY inspect x --program --layer -1", "--layer: "}, Bad{"$ASSAY report", "report: takes"},
        Bad{"$ASSAY sensitivity", "sensitivity: takes a model, a text and a type"},
        Bad{"$ASSAY sensitivity -f x --type q4_0", "--model: is required"},
        Bad{"$ASSAY sensitivity -m x -f x --type q9", "--type: unknown type 'q9'"},
        Bad{"$ASSAY sensitivity -m x -f x --type q4_0 --by word",
            "--by: 'word' is not layer, kind or tensor"},
        Bad{"$ASSAY sensitivity -m x -f missing.txt --type q4_0", "missing.txt: "},
        Bad{"$ASSAY sensitivity -m x -f x --in-file y", "--in-file: unknown option"},
        Bad{"$ASSAY kld x -f x", "kld: takes a base and one or more files"},
        Bad{"$ASSAY kld x y", "kld: takes a base, files to compare with it and a text"},
        Bad{"$ASSAY kld x y -f missing.txt", "missing.txt: "},
        Bad{"$ASSAY kld -m x y z -f x", "-m: unknown option"},
        Bad{"$ASSAY recipe -m x --target-bpw 5", "recipe: takes a matrix"},
        Bad{"$ASSAY recipe x -m x --target-bpw 5 --rules missing/x",
            "missing/x: cannot create a file in its folder"},
        Bad{"$RUN --in-file \"$UNSET\"", "--in-file: needs a value"},
        Bad{"cat $MODEL | $ASSAY inspect /dev/stdin", "/dev/stdin: is a pipe, expected a file on disk"},
        Bad{"$RUN --report \"$UNSET\"", "--report: needs the name of a file"},
        Bad{"$RUN --spill \"$UNSET\"", "--spill: needs the name of a folder"},
        Bad{"$ASSAY recipe x -m x --target-bpw 5 --types ''", "--types: needs a value"},
        Bad{"$ASSAY recipe x -m x --target-bpw 5 --sensitivity ''", "--sensitivity: needs a value"},
        Bad{"$ASSAY recipe x -m x --target-bpw 5 --rules ''", "--rules: needs the name of a file"},
        Bad{"echo nonsense > x; $ASSAY recipe -m x --target-bpw 5 --sensitivity x", "x: is not what"},
        Bad{"$ASSAY report x --target-bpw 4", "report: a recipe needs the model"},
        Bad{"$ASSAY tokenize -p x", "--model: is required"}, Bad{"$ASSAY devices x", "x: unexpected word"},
        Bad{"echo nonsense > x; $ASSAY stats x", "x: "},
        Bad{"$ASSAY --version > /dev/full", "standard output: writing failed: No space left on device"}));

TEST_F(Program, NeverReplacesWhatItReads) {
    const Outcome o = run(fmt::format(
        "cp {} model.gguf; cp {} text; ln -s model.gguf link.gguf; sum=$(cat model.gguf text | cksum); "
        "RUN=\"$RUN -m model.gguf -f text --chunks 2\"; "
        "for out in model.gguf link.gguf ./text; do $RUN -o $out && echo ran; done; "
        "$RUN -o m.gguf --report m.gguf && echo ran; test -e m.gguf && echo wrote; "
        "$RUN -o m.gguf --report model.gguf && echo ran; "
        "$RUN -o m.gguf 2>/dev/null >&2; "
        "$ASSAY --in-file m.gguf -m model.gguf -o model.gguf && echo ran; "
        "$ASSAY report m.gguf -o m.gguf && echo ran; "
        "$ASSAY recipe m.gguf -m model.gguf --target-bpw 8 --rules model.gguf >/dev/null && echo ran; "
        "$ASSAY sensitivity -m model.gguf -f text -c 128 --chunks 1 --type q4_0 -o text > /dev/null && echo "
        "ran; "
        "test \"$sum\" = \"$(cat model.gguf text | cksum)\" && echo unharmed; $ASSAY stats m.gguf > "
        "/dev/null",
        fixture_->model().string(), fixture_->run().text.string()));
    EXPECT_EQ(o.out, "unharmed\n");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_THAT(o.err, HasSubstr("assay: link.gguf: the result would replace model.gguf"));
}

TEST_F(Program, BracketsInAValueAreText) {
    const std::string tokenize = "$ASSAY tokenize -m " + fixture_->model().string() + " ";
    const Outcome o = run(tokenize + "-p '[Hello, world]' > a; printf '[Hello, world]' > text; " + tokenize +
                          "-f text > b; cmp a b && " + tokenize + "-p '[]' --no-bos | wc -l");
    EXPECT_EQ(o.code, 0) << o.out << o.err;
    EXPECT_THAT(o.out, MatchesRegex("[12]\n"));
}

TEST_F(Program, ClosedStreamsAreNotMistakenForFiles) {
    // A closed standard stream is occupied, so that no file opened later gets its number.
    const Outcome in = run("$RUN -f /dev/stdin <&-");
    EXPECT_EQ(in.code, 1);
    EXPECT_THAT(in.err, HasSubstr("assay: /dev/stdin: the text is empty"));
    const Outcome out = run("$ASSAY inspect $MODEL >&-");
    EXPECT_EQ(out.code, 1);
    EXPECT_THAT(out.err, HasSubstr("standard output: writing failed"));
}

TEST_F(Program, LostStandardOutputDoesNotTakeTheSumsWithIt) {
    const Outcome o = run("$RUN --chunks 6 --wave 2 -ofreq 0 -o m.gguf > /dev/full");
    EXPECT_EQ(o.code, 1);
    EXPECT_THAT(o.err, HasSubstr("save_imatrix: stored collected data after 2 chunks in m.gguf"));
    EXPECT_THAT(o.err,
                testing::EndsWith("assay: standard output: writing failed: No space left on device\n"));
    EXPECT_FALSE(test::read_matrix(file("m.gguf")).empty());
    const Outcome table =
        run("$ASSAY sensitivity -m $MODEL -f $TEXT -c 128 --chunks 2 --type q4_0 -o s.json > /dev/full");
    EXPECT_EQ(table.code, 1);
    EXPECT_EQ(nlohmann::json::parse(text_of(file("s.json"))).count("units"), 1u);
}

TEST_F(Program, ClosedPipeIsAnErrorLikeAnyOther) {
    const Outcome o = run("{ $RUN --chunks 2; echo $? > code; } | true");
    EXPECT_EQ(text_of(file("code")), "1\n");
    EXPECT_THAT(o.err, HasSubstr("assay: standard output: writing failed: Broken pipe"));
}

/// Runs the text over and over on the slowest kernels, and sends the signal when the first chunk is done.
std::string interrupted(const std::string& signals) {
    return fmt::format(
        "for i in 1 2 3 4 5 6 7 8 9 10; do cat $TEXT $TEXT $TEXT $TEXT $TEXT $TEXT $TEXT $TEXT; done > "
        "long.txt; rm -f live m.gguf; "
        "$RUN -f long.txt --wave 1 -t 1 --isa scalar -o m.gguf > live & pid=$!; "
        "while kill -0 $pid && ! grep -q , live; do sleep 0.02; done; {}; wait $pid",
        signals);
}

TEST_F(Program, InterruptSavesWholeChunksAndTellsHowToGoOn) {
    const std::string resume =
        "the same command with --resume goes on \\(its state is in m.gguf.checkpoint\\)";
    const std::string add = "go on with --in-file m.gguf --chunk [0-9]+";
    for (const auto& [signals, code, advice] : {std::tuple{"kill -INT $pid", 130, resume},
                                                std::tuple{"kill -HUP $pid; kill -HUP $pid", 129, resume},
                                                std::tuple{"kill -TERM $pid", 143, add}}) {
        const Outcome o = run((advice == add ? "RUN=\"$RUN --no-checkpoint\"; " : "") + interrupted(signals));
        EXPECT_EQ(o.code, code) << o.err;
        EXPECT_THAT(o.err, ContainsRegex("assay: stopped as asked after [0-9]+ of [0-9]+ chunks; " + advice));
        EXPECT_THAT(text_of(file("live")), Not(HasSubstr("Final estimate")));
        EXPECT_FALSE(test::read_matrix(file("m.gguf")).empty());
    }
}

TEST_F(Program, HangupIsNothingToARunThatIgnoresIt) {
    const Outcome o =
        run("trap '' HUP; $RUN --chunks 3 --wave 1 -t 1 --isa scalar -o m.gguf > live & pid=$!; "
            "while kill -HUP $pid; do sleep 0.01; done 2>&-; wait $pid");
    EXPECT_EQ(o.code, 0) << o.err;
}

// German numbers have a decimal comma. Where its sources are not installed only the variables are set.
TEST_F(Program, SpeaksTheSameInEveryLocale) {
    const std::string line =
        "$RUN --chunks 2 --rope-freq-base 1234.5 --override-kv "
        "llama.attention.layer_norm_rms_epsilon=float:0.0001 -o l.gguf && "
        "$ASSAY stats l.gguf --csv";
    const Outcome plain = run("export LC_ALL=C; " + line);
    EXPECT_EQ(plain.code, 0) << plain.err;
    const Outcome german =
        run("localedef -i de_DE -f UTF-8 ./de_DE.UTF-8 >locale.log 2>&1; export LOCPATH=$PWD "
            "LC_ALL=de_DE.UTF-8; " +
            line);
    EXPECT_EQ(german.code, 0) << german.err;
    EXPECT_EQ(german.out, plain.out);
}

}  // namespace
}  // namespace assay::cli
