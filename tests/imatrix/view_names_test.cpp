#include "imatrix/view_names.h"

#include "sample.h"

namespace assay::imatrix {
namespace {

TEST(ViewNames, EndWhereTheWeightsEnd) {
    for (const std::string view :
         {"blk.0.attn_k_b.weight (reshaped)", "blk.0.attn_k_b.weight (reshaped) (permuted)",
          "CUDA0#blk.0.attn_k_b.weight#0", "ROCm1#blk.0.attn_k_b.weight (view)#12",
          "Vulkan0#blk.0.attn_k_b.weight", "blk.0.attn_k_b.weight (resha",
          "blk.0.attn_k_b.weight (copy of blk.0.attn_k_b.weight)"})
        EXPECT_EQ(weight_of_view(view), "blk.0.attn_k_b.weight") << view;
    for (const std::string name : {"output.weight", "#", " (view)", "a(b).weight"})
        EXPECT_EQ(weight_of_view(name), name);
}

/// Two names of one weight, and one of another.
Matrix views() {
    Matrix matrix = sample();
    matrix.entries = {{"blk.0.attn_q.weight", {2, {1, 2}, {1, 1}, {8}}},
                      {"blk.0.attn_q.weight (reshaped)", {2, {10, 20}, {-1, 1}, {4}}},
                      {"CUDA0#output.weight#0", {1, {3}, {}, {8}}}};
    return matrix;
}

TEST(ViewNames, AreReadAsTheirWeights) {
    Notes notes;
    for (const Format format : {Format::Gguf, Format::GgufExact}) {
        notes.clear();
        const Matrix read = parse(serialise(views(), format, notes), "m.gguf", {}, notes);
        ASSERT_EQ(read.entries.size(), 2u);
        EXPECT_EQ(read.entries.at("blk.0.attn_q.weight"), (Entry{2, {11, 22}, {0, 2}, {12}}));
        EXPECT_EQ(read.entries.at("output.weight").counts, std::vector<double>{8});
        EXPECT_EQ(notes, Notes{"m.gguf: 2 entries are named after views and taken for the weights: "
                               "'CUDA0#output.weight#0' for 'output.weight' and so on"});
    }
    const Matrix legacy = parse(serialise(views(), Format::Legacy, notes), "m.dat", {4}, notes);
    ASSERT_EQ(legacy.entries.size(), 2u);
    EXPECT_EQ(legacy.entries.at("blk.0.attn_q.weight").counts, std::vector<double>{12});
}

TEST(ViewNames, MayBeOne) {
    Matrix matrix = sample();
    matrix.entries = {{"CUDA0#output.weight#0", {1, {3}, {}, {8}}}};
    Notes notes;
    parse(serialise(matrix, Format::Gguf, notes), "m.gguf", {}, notes);
    EXPECT_EQ(notes, Notes{"m.gguf: 1 entry is named after views and taken for the weights: "
                           "'CUDA0#output.weight#0' for 'output.weight'"});
}

TEST(ViewNames, MustFitTheirWeight) {
    Matrix matrix = views();
    matrix.entries["blk.0.attn_q.weight (view)"] = {3, {1, 1, 1}, {}, {4}};
    Notes notes;
    EXPECT_EQ(message_of([&] { parse(serialise(matrix, Format::Gguf, notes), "m.gguf", {}, notes); }),
              "m.gguf: inconsistent size for blk.0.attn_q.weight (2 vs 3)");
}

}  // namespace
}  // namespace assay::imatrix
