#include "model/print.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/registry.h"
#include "model/visit.h"
#include "support/fixture.h"

namespace assay::model {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Two layers h = norm(x), x += W h; the second's epsilon is `last_eps`.
Program by_hand(float last_eps) {
    Program program;
    program.architecture = "toy";
    program.name = "a\x1b[2J";
    program.n_vocab = 16;
    program.hidden = 4;
    program.values = {{"x", 4}, {"h", 4}, {"h", 4}, {"final", 4}};
    const Value x{0, 0, 4};
    const Lookup lookup{.table = {.name = "token_embd.weight", .n_in = 4, .n_out = 16}, .scale = 2};
    program.start.steps = {{lookup, x}};
    for (std::int64_t i = 0; i < 2; ++i) {
        const Value h{static_cast<std::int32_t>(i) + 1, 0, 4};
        const std::string prefix = "blk." + std::to_string(i) + ".";
        const Norm norm{NormKind::Rms, {prefix + "norm.weight", 4}, {}, i == 0 ? 0.5f : last_eps};
        const Linear linear{.weight = {.name = prefix + "w.weight", .n_in = 4, .n_out = 4}};
        program.layers.push_back(
            {.index = i,
             .stages = {{{{Normalise{x, norm}, h}, {Product{.x = h, .linears = {linear}, .adds = true}, x}}}},
             .input = h,
             .residual = x});
    }
    program.final = {3, 0, 4};
    program.head.steps = {{Normalise{x.columns(0, 4), {NormKind::Layer, {}, {}, 1}}, program.final}};
    program.output = {.linear = {.weight = lookup.table}, .soft_cap = 30};
    return program;
}

TEST(Print, ShowsEachStepWithItsTensors) {
    EXPECT_EQ(to_text(by_hand(0.5f)), R"(toy a\u001b[2J: 2 layers, hidden 4, vocab 16

start
    x [4]                     = lookup by token, times 2
        token_embd.weight                        [16, 4]

layers 0-1
    h [4]                     = normalise x: rms norm, eps 0.5
        blk.N.norm.weight                        [4]
    x [4]                    += product of h
        blk.N.w.weight                           [4, 4]               sums of 4 columns
  similarity reads input h, residual stream x

head
    final [4]                 = normalise x: layer norm, eps 1
    logits [16]               = product of final, soft cap 30
        token_embd.weight                        [16, 4]              sums where the output is observed

matrix: 2 entries of 8 columns together
)");
}

TEST(Print, ShowsBlocksBehindTheHead) {
    Program program = by_hand(0.5f);
    const auto id = static_cast<std::int32_t>(program.values.size());
    program.values.insert(program.values.end(), {{"handed", 4}, {"y", 4}, {"left", 4}});
    const Value handed{id, 0, 4}, y{id + 1, 0, 4}, left{id + 2, 0, 4};
    NextN block{.block = 2, .final = left, .output = program.output};
    block.stages = {{{{HandOn{program.final}, handed},
                      {Product{.x = handed, .linears = {{.weight = {"blk.2.p.weight", 4, 4}}}}, y}}}};
    block.head.steps = {{Normalise{y, {NormKind::Rms, {}, {}, 1}}, left}};
    block.output.linear.weight = {"blk.2.head.weight", 4, 8};
    program.nextn = {block};
    const std::string text = to_text(program);
    EXPECT_THAT(text, HasSubstr(R"(
NextN block 2: its rows are tokens from the chunk's token 1 on
  stage 0
    handed [4]                = hand on final: of the token before
    y [4]                     = product of handed
        blk.N.p.weight                           [4, 4]               sums of 4 columns
  stage 1
    left [4]                  = normalise y: rms norm, eps 1
    logits [8]                = product of left, soft cap 30
        blk.N.head.weight                        [8, 4]               sums of 4 columns

matrix: 4 entries of 16 columns together
)"));
}

TEST(Print, LayersThatDifferStandApart) {
    const std::string text = to_text(by_hand(0.25f));
    EXPECT_THAT(text, HasSubstr("\nlayer 0\n    h"));
    EXPECT_THAT(text,
                HasSubstr("\nlayer 1\n    h [4]                     = normalise x: rms norm, eps 0.25"));
}

TEST(Print, NumbersThatWereComputedTellLayersApart) {
    Program program = by_hand(0.5f);
    for (std::size_t i = 0; i < 2; ++i) {
        Norm& norm = std::get<Normalise>(program.layers[i].stages[0].steps[0].operation).norm;
        norm.weight = {"gain", 3, {1, static_cast<float>(i), 2}};
    }
    const std::string text = to_text(program);
    EXPECT_THAT(text, HasSubstr("\nlayer 0\n"));
    EXPECT_THAT(text, HasSubstr("computed: 1 .. 2"));
}

TEST(Print, OneLayerOnly) {
    const std::string text = to_text(by_hand(0.25f), 1);
    EXPECT_THAT(text, HasSubstr("\nlayer 1\n"));
    EXPECT_THAT(text, Not(HasSubstr("layer 0\n")));
    EXPECT_THAT(text, Not(HasSubstr("start")));
    EXPECT_THAT(text, Not(HasSubstr("head")));
}

TEST(Print, ValuesOfOneNameAreToldApart) {
    Program program = by_hand(0.5f);
    Stage& stage = program.layers[0].stages[0];
    program.values.push_back({"h", 2});
    stage.steps.push_back({Reduce{Reduction::Mean, {1, 0, 4}, 2}, {4, 0, 2}});
    EXPECT_THAT(to_text(program), HasSubstr("h.2 [2]                   = mean of each of 2 slices of h\n"));
}

struct Worded {
    Operation operation;
    std::string text;
};

void PrintTo(const Worded& worded, std::ostream* out) { *out << name_of(worded.operation); }

/// Columns 0 to 3 of value 0, "x", and all of value 1, "y".
constexpr Value kX{0, 0, 4}, kY{1, 0, 8};

class Words : public testing::TestWithParam<Worded> {};

TEST_P(Words, SayWhatTheOperationDoes) {
    Program program;
    program.values = {{"x", 8}, {"y", 8}, {"out", 2}};
    program.start.steps = {{GetParam().operation, {2, 0, 2}}};
    program.final = {2, 0, 2};
    EXPECT_THAT(to_text(program), HasSubstr(" " + GetParam().text + "\n"));
}

INSTANTIATE_TEST_SUITE_P(
    OfOperations, Words,
    testing::Values(
        Worded{HandOn{kX}, "= hand on x[0..4): of the token before"},
        Worded{Lookup{.row = Lookup::Row::Position, .first = 3}, "= lookup by position, columns from 3"},
        Worded{Lookup{.row = Lookup::Row::Ngram, .ngram = {{3, 5}, 2, 10, 7}},
               "= lookup by 2 tokens: rows [10..17)"},
        Worded{Normalise{kX, {NormKind::L2, {}, {}, 0.5f}, 2},
               "= normalise x[0..4): l2 norm, eps 0.5, each of 2 slices"},
        Worded{Product{.x = kY, .n_heads = 2, .precise = true},
               "= product of y, a matrix for each of 2 heads, in f32"},
        Worded{GatedProduct{.x = kY, .function = {GateKind::ClampedBefore, Activation::Silu, 7, 0}},
               "= gated product of y: silu(gate) * up, clamped by 7"},
        Worded{TurnHeads{.n_heads = 2,
                         .norm = {NormKind::Rms, {}, {}, 1},
                         .norm_last = true,
                         .rope = {.pairing = Pairing::Halves, .frequencies = {"f", 2, {1, 0.5f}}},
                         .first = 1,
                         .backwards = true},
               "turn 2 heads: components [1..5), pairs of halves, backwards, rms norm, eps 1, after"},
        Worded{CopyHeads{.x = kY, .n_heads = 2, .first = 1, .count = 3, .out_first = 4, .spread = true},
               "= copy 2 heads of y: columns [1..4), to 4, one head to all"},
        Worded{Attend{.q = kY,
                      .k = kX,
                      .v = kX,
                      .n_heads = 4,
                      .n_kv_heads = 2,
                      .head_dim = 2,
                      .value_dim = 3,
                      .soft_cap = 50,
                      .causal = false,
                      .window = 9,
                      .window_kind = WindowKind::Chunked},
               "= attend y, x[0..4), x[0..4): 4 heads of 2, 2 key heads, values of 3, scale 1, soft cap 50, "
               "not causal, chunked window of 9"},
        Worded{Pool{.x = kY, .gate = kX, .block_tokens = 4, .overlapping = true},
               "= pool y: blocks of 4 tokens, gate x[0..4), overlapping"},
        Worded{Select{.q = kY, .k = kX, .n_heads = 2, .block_tokens = 4, .n_chosen = 3, .tail = true},
               "= select by y, x[0..4): 2 heads, the best 3 blocks of 4 tokens, and the tail"},
        Worded{Convolve{.x = kY, .kernel = 4, .activation = Activation::Silu},
               "= convolve y: kernel 4, silu"},
        Worded{Convolve{.x = kY, .kernel = 4, .dilation = 3},
               "= convolve y: kernel 4, identity, every 3 tokens"},
        Worded{Scan{.kind = ScanKind::Delta,
                    .q = kX,
                    .k = kX,
                    .v = kY,
                    .beta = kX,
                    .n_heads = 4,
                    .n_key_heads = 2,
                    .key_dim = 2,
                    .value_dim = 2,
                    .interleaved = true},
               "= scan x[0..4), x[0..4), y: delta rule, 4 heads, 2 key heads interleaved, keys of 2, values "
               "of 2, beta x[0..4)"},
        Worded{SelectiveScan{.x = kY, .dt = kX, .b = kX, .c = kX},
               "= selective scan y, dt x[0..4), b x[0..4), c x[0..4)"},
        Worded{
            Chain{kY,
                  {{.kind = LinkKind::Apply, .activation = Activation::Tanh},
                   {.kind = LinkKind::Affine, .a = 2, .b = 3},
                   {.kind = LinkKind::Clamp, .a = -1, .b = 1},
                   {.kind = LinkKind::Times, .vector = {"v", 4}, .tiled = true},
                   {.kind = LinkKind::Plus, .value = kX, .previous = true},
                   {.kind = LinkKind::Minus, .value = kY}}},
            "= chain y | tanh | * 2 + 3 | clamp [-1, 1] | * v (tiled) | + x[0..4) (position before) | - y"},
        Worded{Mix{kY, kX, 2, 1, true}, "+= mix y by x[0..4): 2 streams to 1"},
        Worded{Reduce{Reduction::Length, kY, 2}, "= length of each of 2 slices of y"},
        Worded{Softmax{kY, 2}, "= softmax y, each of 2 slices"},
        Worded{Sinkhorn{kY, 2, 3, 0.5f}, "= sinkhorn y: 2 x 2, 3 iterations, eps 0.5"},
        Worded{Add{kY, {NormKind::Layer, {}, {}, 1}, 0.5f}, "+= add y, layer norm, eps 1, times 0.5"},
        Worded{Experts{.x = kY,
                       .logits = kX,
                       .router = {.n_experts = 8,
                                  .n_used = 2,
                                  .gating = Gating::Sigmoid,
                                  .normalise = true,
                                  .weight_scale = 2,
                                  .n_groups = 4,
                                  .n_groups_used = 1},
                       .weigh_input = true},
               "+= experts of y by x[0..4): 2 of 8, sigmoid, normalised, times 2, 1 of 4 groups, silu(up), "
               "weights on the input"}));

TEST(Print, ShowsExpertsOfAFixture) {
    const test::TempDir folder;
    test::write_hollow_model(std::filesystem::path(ASSAY_GOLDEN_DIR) / "archs" / "qwen3moe-moe.head.gguf",
                             folder / "model.gguf");
    const std::string text = to_text(build(gguf::File::open(folder / "model.gguf"), {128}));
    EXPECT_EQ(text, R"(qwen3moe random weights: 2 layers, hidden 256, vocab 512

start
    x [256]                   = lookup by token
        token_embd.weight                        [512, 256]

layers 0-1
  stage 0
    h [256]                   = normalise x: rms norm, eps 1e-05
        blk.N.attn_norm.weight                   [256]
    qkv [512]                 = product of h
        blk.N.attn_q.weight                      [256, 256]           sums of 256 columns
        blk.N.attn_k.weight                      [128, 256]           sums of 256 columns
        blk.N.attn_v.weight                      [128, 256]           sums of 256 columns
        blk.N.attn_q.bias                        [256]
        blk.N.attn_k.bias                        [128]
        blk.N.attn_v.bias                        [128]
    qkv[0..256) [256]           turn 4 heads: components [0..64), pairs of halves, rms norm, eps 1e-05, before
        blk.N.attn_q_norm.weight                 [64]
        rope.64.10000.1.1                        [32]                 computed: 1 .. 0.00013335215
    qkv[256..384) [128]         turn 2 heads: components [0..64), pairs of halves, rms norm, eps 1e-05, before
        blk.N.attn_k_norm.weight                 [64]
        rope.64.10000.1.1                        [32]                 computed: 1 .. 0.00013335215
    attended [256]            = attend qkv[0..256), qkv[256..384), qkv[384..512): 4 heads of 64, 2 key heads, values of 64, scale 0.125
    x [256]                  += product of attended
        blk.N.attn_output.weight                 [256, 256]           sums of 256 columns
  stage 1
    h.2 [256]                 = normalise x: rms norm, eps 1e-05
        blk.N.ffn_norm.weight                    [256]
    logits [8]                = product of h.2, in f32
        blk.N.ffn_gate_inp.weight                [8, 256]             sums of 256 columns
  stage 2
    x [256]                  += experts of h.2 by logits: 2 of 8, softmax, normalised, silu(gate) * up
        blk.N.ffn_gate_exps.weight               [8, 384, 256]        sums of 8 x 256 columns
        blk.N.ffn_up_exps.weight                 [8, 384, 256]        sums of 8 x 256 columns
        blk.N.ffn_down_exps.weight               [8, 256, 384]        sums of 8 x 384 columns
  similarity reads input h, feed-forward input h.2, residual stream x

head
    final [256]               = normalise x: rms norm, eps 1e-05
        output_norm.weight                       [256]
    logits [512]              = product of final
        output.weight                            [512, 256]           sums where the output is observed

matrix: 16 entries of 16896 columns together
)");
}

}  // namespace
}  // namespace assay::model
