#include "imatrix/matrix.h"

#include "core/exact_sum.h"
#include "sample.h"

namespace assay::imatrix {
namespace {

Matrix single(const std::string& name, Entry entry, std::uint32_t chunk_size = 4) {
    Matrix matrix;
    matrix.chunk_size = chunk_size;
    matrix.entries[name] = std::move(entry);
    return matrix;
}

TEST(Merge, AddsSumsAndCountsAndKeepsWhatOneSideHas) {
    Matrix into = sample();
    Matrix from = single("blk.0.attn_q.weight", {3, {1, 1, 1}, {1, 1, 1}, {4}});
    from.entries["blk.1.attn_q.weight"] = {1, {7}, {}, {4}};
    from.datasets = {"c.txt"};
    Notes notes;
    merge(into, from, notes);
    const Entry& both = into.entries.at("blk.0.attn_q.weight");
    EXPECT_EQ(both.sum_sq, (std::vector<double>{9, 17, 1.5}));
    EXPECT_EQ(both.sum, (std::vector<double>{0, 3, 1}));
    EXPECT_EQ(both.counts, (std::vector<double>{12}));
    EXPECT_EQ(into.entries.at("blk.1.attn_q.weight").sum_sq, std::vector<double>{7});
    EXPECT_EQ(into.entries.size(), 4u);
    EXPECT_EQ(into.datasets, (std::vector<std::string>{"a.txt", "b.txt", "c.txt"}));
    EXPECT_EQ(into.chunk_count, 3u);  // 12 tokens
    EXPECT_TRUE(notes.empty());
}

TEST(Merge, DropsTheSumOfXWhenOneSideDoesNotKnowIt) {
    Matrix into = sample();
    Notes notes;
    merge(into, single("blk.0.attn_q.weight", {3, {1, 1, 1}, {}, {4}}), notes);
    EXPECT_TRUE(into.entries.at("blk.0.attn_q.weight").sum.empty());
    Matrix other = single("blk.0.attn_q.weight", {3, {1, 1, 1}, {}, {4}});
    merge(other, sample(), notes);
    EXPECT_TRUE(other.entries.at("blk.0.attn_q.weight").sum.empty());
}

TEST(Merge, GivesASingleCountToAllExperts) {
    const std::string name = "blk.0.ffn_up_exps.weight";
    const Matrix legacy = single(name, {6, {1, 1, 1, 1, 1, 1}, {}, {8}});
    Notes notes;
    Matrix forwards = sample(), backwards = legacy;
    merge(forwards, legacy, notes);
    merge(backwards, sample(), notes);
    for (const Matrix* merged : {&forwards, &backwards}) {
        const Entry& entry = merged->entries.at(name);
        EXPECT_EQ(entry.counts, (std::vector<double>{11, 8, 13}));
        EXPECT_EQ(entry.sum_sq, (std::vector<double>{4, 7, 1, 1, 6, 11}));
        EXPECT_EQ(entry.width, 2u);
    }
}

TEST(Merge, KeepsTheHeadsThatAFileDoesNotShow) {
    const std::string name = "blk.0.attn_k_b.weight";
    Matrix from_file = single(name, {4, {1, 1, 1, 1}, {}, {8}});
    Notes notes;
    merge(from_file, sample(), notes);
    EXPECT_EQ(from_file.entries.at(name).width, 2u);
    EXPECT_EQ(from_file.entries.at(name).counts.size(), 1u);
}

TEST(Merge, RefusesDifferentShapesAndChangesNothing) {
    Matrix into = sample();
    Matrix from = single("blk.0.ffn_up_exps.weight", {3, {1, 1, 1, 1, 1, 1}, {}, {1, 1}});
    from.entries["a.first"] = {1, {1}, {}, {1}};
    Notes notes;
    EXPECT_EQ(message_of([&] { merge(into, from, notes); }),
              "inconsistent expert count for blk.0.ffn_up_exps.weight (3 vs 2)");
    EXPECT_EQ(message_of([&] {
                  merge(into, single("blk.0.attn_q.weight", {2, {1, 1}, {}, {1}}), notes);
              }),
              "inconsistent size for blk.0.attn_q.weight (3 vs 2)");
    EXPECT_EQ(into.entries.size(), 3u);
    // A single count cannot be given to a number of experts that does not divide the columns.
    EXPECT_EQ(message_of([&] {
                  merge(into, single("blk.0.attn_q.weight", {1, {1, 1, 1}, {}, {1, 1, 1}}), notes);
                  merge(into, single("blk.0.attn_q.weight", {1, {1, 1, 1}, {}, {1, 1}}), notes);
              }),
              "inconsistent expert count for blk.0.attn_q.weight (3 vs 2)");
}

TEST(Merge, TellsWhenChunkSizesDisagree) {
    Matrix into = sample();
    Notes notes;
    Matrix from = single("blk.0.attn_q.weight", {3, {1, 1, 1}, {}, {16}}, 16);
    into.chunk_size_stored = from.chunk_size_stored = true;
    merge(into, from, notes);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].find("chunks of 4 tokens with chunks of 16"), std::string::npos) << notes[0];
    EXPECT_EQ(into.chunk_size, 4u);
    EXPECT_EQ(into.chunk_count, 6u);
}

TEST(Merge, TellsWhenNothingIsInCommon) {
    Matrix into = sample(), other = single("blk.9.x.weight", {1, {1}, {}, {4}});
    other.extra = gguf::Metadata("other.gguf");
    Notes notes;
    merge(into, other, notes);
    EXPECT_EQ(
        notes,
        Notes{"other.gguf: none of the 1 entries added is among the 3 that were there; the matrices seem "
              "to be of different models"});
    EXPECT_EQ(into.entries.size(), 4u);
    notes.clear();
    merge(into, other, notes);
    Matrix empty;
    merge(empty, other, notes);
    EXPECT_TRUE(notes.empty());
}

TEST(Merge, KeepsOnlyExtraKeysThatAgree) {
    Matrix a = sample(), b = sample();
    a.extra.set("assay.model.name", gguf::text("m"));
    a.extra.set("assay.text.name", gguf::text("one"));
    a.extra.set("assay.only.a", gguf::u32(1));
    b.extra.set("assay.model.name", gguf::text("m"));
    b.extra.set("assay.text.name", gguf::text("two"));
    Notes notes;
    Matrix all;
    merge(all, a, notes);
    EXPECT_EQ(all.extra.values().size(), 3u);
    EXPECT_EQ(all.chunk_size, 4u);
    merge(all, b, notes);
    ASSERT_EQ(all.extra.values().size(), 1u);
    EXPECT_EQ(all.extra.get_string("assay.model.name"), "m");
}

// Runs over as many chunks of different texts count alike; counts without their sums would be no file.
TEST(Merge, KeepsNoPartOfAGroupOfExtraKeys) {
    Matrix a = sample(), b = sample();
    for (Matrix* matrix : {&a, &b}) matrix->extra.set("assay.perplexity.count", gguf::u32(31));
    a.extra.set("assay.perplexity.nll", gguf::f64(70.5));
    b.extra.set("assay.perplexity.nll", gguf::f64(71.5));
    Notes notes;
    merge(a, b, notes);
    EXPECT_TRUE(a.extra.values().empty());
}

TEST(Counts, CollapseOnlyWhenEqual) {
    Entry equal{2, {1, 2, 3, 4}, {}, {5, 5}}, different{2, {1, 2, 3, 4}, {}, {5, 6}};
    EXPECT_TRUE(collapse_counts(equal));
    EXPECT_EQ(equal.counts, std::vector<double>{5});
    EXPECT_FALSE(collapse_counts(different));
    EXPECT_EQ(different.counts.size(), 2u);
}

TEST(Counts, OfNothingDoNotCollapse) {
    Entry entry;
    EXPECT_FALSE(collapse_counts(entry));
    EXPECT_EQ(entry.max_count(), 0);
    EXPECT_EQ(entry.columns_per_count(), 0u);
    EXPECT_EQ(entry.n_matrices(), 0u);
}

TEST(Counts, ExpandOnlyWhereTheyCan) {
    Entry entry{4, {1, 2, 3, 4}, {}, {5}};
    for (const std::uint64_t n : {0, 3})
        EXPECT_EQ(message_of([&] { expand_counts(entry, n, "w"); }),
                  fmt::format("w: 1 counts for 4 values cannot become {} counts", n));
    expand_counts(entry, 2, "w");
    EXPECT_EQ(entry.counts, (std::vector<double>{5, 5}));
    EXPECT_EQ(entry.width, 2u);
    EXPECT_NE(message_of([&] { expand_counts(entry, 4, "w"); }), "") << "it has two";
}

TEST(Heads, FoldToOne) {
    const double third = 1.0 / 3;
    const Entry heads{2, {1, 2, 3, 4}, {1, -1, 1, 1}, {5}};
    EXPECT_EQ(fold_heads(heads, 2), (Entry{2, {4, 6}, {2, 0}, {10}}));
    EXPECT_EQ(fold_heads({2, {1, 2, 3, 4}, {}, {5}}, 2), (Entry{2, {4, 6}, {}, {10}}));
    // What f64 loses is kept, and what the heads' own low parts hold is added.
    const Entry exact = fold_heads({1, {0x1p60, third}, {}, {1}, {0, 0x1p-70F}}, 2);
    Entry by_hand{1, {0x1p60}, {}, {1}, {0}};
    ExactSums{by_hand.sum_sq, by_hand.sum_sq_low}.add(std::vector<double>{third},
                                                      std::vector<float>{0x1p-70F});
    EXPECT_EQ(exact.sum_sq, by_hand.sum_sq);
    EXPECT_EQ(exact.sum_sq_low, by_hand.sum_sq_low);
    EXPECT_NE(exact.sum_sq_low, std::vector<float>{0});
}

// Any order of the parts gives what f64 alone would lose between them.
TEST(Merge, KeepsWhatF64Loses) {
    const double parts[] = {0x1p60, 0.375, -0x1p60};
    Notes notes;
    Matrix forwards, backwards;
    for (int i = 0; i < 3; ++i) {
        merge(forwards, single("w", {1, {1}, {parts[i]}, {4}}), notes);
        merge(backwards, single("w", {1, {1}, {parts[2 - i]}, {4}}), notes);
    }
    EXPECT_EQ(forwards.entries.at("w").sum, std::vector<double>{0.375});
    EXPECT_EQ(forwards.entries, backwards.entries);
    Matrix pair, other;
    for (const int i : {0, 1}) merge(pair, single("w", {1, {1}, {parts[i]}, {4}}), notes);
    EXPECT_FALSE(pair.entries.at("w").sum_low.empty());
    merge(other, single("w", {1, {1}, {parts[2]}, {4}}), notes);
    merge(other, pair, notes);
    EXPECT_EQ(other.entries, forwards.entries);
}

TEST(Merge, TellsArraysOfOtherElementsApart) {
    Matrix a = sample(), b = sample();
    a.extra.set("assay.x.list", gguf::i32s({1}));
    b.extra.set("assay.x.list", gguf::f32s({1}));
    a.extra.set("assay.y.list", gguf::i32s({1, 2}));
    b.extra.set("assay.y.list", gguf::i32s({1, 2}));
    a.extra.set("assay.z.list", gguf::i32s({1, 2}));
    b.extra.set("assay.z.list", gguf::i32s({1, 3}));
    Notes notes;
    merge(a, b, notes);
    ASSERT_EQ(a.extra.values().size(), 1u);
    EXPECT_TRUE(a.extra.values().contains("assay.y.list"));
}

TEST(PartialNote, SpeaksLikeOtherTools) {
    EXPECT_EQ(sample().entries.at("blk.0.ffn_up_exps.weight").partial_note("blk.0.ffn_up_exps.weight"),
              "entry '                blk.0.ffn_up_exps.weight' has partial data (66.67%)");
    EXPECT_EQ(sample().entries.at("blk.0.attn_q.weight").partial_note("x"), "");
}

TEST(Merge, KeepsTheNumberOfBlocksThatPredictAhead) {
    Matrix into = sample(), from = sample();
    Notes notes;
    from.n_layer_nextn = 1;
    merge(into, from, notes);
    EXPECT_EQ(into.n_layer_nextn, 1u);
    from.n_layer_nextn = 0;
    merge(into, from, notes);
    EXPECT_EQ(into.n_layer_nextn, 1u);
    EXPECT_TRUE(notes.empty());
    from.n_layer_nextn = 2;
    merge(into, from, notes);
    EXPECT_EQ(into.n_layer_nextn, 1u);
    EXPECT_EQ(notes, Notes{"merging a matrix of 1 NextN blocks with one of 2; the result says 1"});
}

// What a GGUF file says goes before what the user says of a legacy one, in either order.
TEST(Merge, TakesTheChunkSizeThatIsStored) {
    Matrix stored = single("a", {1, {1}, {}, {8}}, 8), assumed = single("a", {1, {1}, {}, {8}}, 2);
    stored.chunk_size_stored = true;
    for (const auto& [first, second] : {std::pair(stored, assumed), std::pair(assumed, stored)}) {
        Matrix into;
        Notes notes;
        merge(into, first, notes);
        merge(into, second, notes);
        EXPECT_EQ(into.stored_chunk_size(), 8u);
        EXPECT_EQ(into.chunk_count, 2u);
        EXPECT_TRUE(notes.empty());
    }
}

// The sum of x of an entry is gone for good once a contributor lacks it.
TEST(Merge, DoesNotTakeUpTheSumOfXAgain) {
    const Matrix with = single("a", {1, {1}, {1}, {4}}), without = single("a", {1, {1}, {}, {4}});
    Matrix into;
    Notes notes;
    for (const Matrix* from : {&with, &without, &with}) merge(into, *from, notes);
    EXPECT_TRUE(into.entries.at("a").sum.empty());
}

TEST(Matrix, CountsHalfAChunkAsOne) {
    for (const auto& [count, chunks] :
         {std::pair(0.0, 0u), {1.0, 0}, {2.0, 1}, {5.0, 1}, {5.75, 1}, {6.0, 2}})
        EXPECT_EQ(single("a", {1, {1}, {}, {count}}).n_chunks(4), chunks) << count;
    EXPECT_EQ(single("a", {1, {1}, {}, {0x1p64}}).n_chunks(1), UINT32_MAX);
    EXPECT_EQ(single("a", {1, {1}, {}, {7}}).n_chunks(0), 0u);
}

// One product for each of several streams sees more rows than there are tokens.
TEST(Matrix, BlocksThatPredictAheadDoNotCountChunks) {
    Matrix matrix = sample();
    matrix.entries["blk.1.nextn.eh_proj.weight"] = {1, {1}, {}, {24}};
    matrix.recount_chunks();
    EXPECT_EQ(matrix.chunk_count, 2u);
}

}  // namespace
}  // namespace assay::imatrix
