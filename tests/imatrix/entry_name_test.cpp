#include "imatrix/entry_name.h"

#include <gtest/gtest.h>

namespace assay::imatrix {
namespace {

struct Case {
    std::string name;
    std::optional<int> block;
    std::string short_name, without_block;
};

TEST(EntryName, SplitsNames) {
    for (const Case& expected : {
             Case{"blk.3.attn_q.weight", 3, "blk.3.attn_q.weight", "blk..attn_q.weight"},
             Case{"blk.3.indexer.attn_k.weight", 3, "indexer.attn_k", "blk..indexer.attn_k.weight"},
             Case{"blk.12.nextn.eh_proj.weight", 12, "nextn.eh_proj", "blk..nextn.eh_proj.weight"},
             Case{"enc.blk.0.ffn.up.weight", 0, "ffn.up", "enc.blk..ffn.up.weight"},
             Case{"output.weight", {}, "output", ""},
             Case{"v.output.weight", {}, "v.output", ""},
             Case{"blk.0.some.long.name", 0, "blk.0.some.long.name", "blk..some.long.name"},
             Case{"blk.x.attn.q.weight", {}, "attn.q", ""},
             Case{"blk.99999999999.a.weight", {}, "blk.99999999999.a.weight", ""},
             Case{"blk", {}, "blk", ""},
             Case{"weight.blk.1.a.b", 1, "weight.blk.1.a.b", "weight.blk..a.b"},
         }) {
        const EntryName found = parse_entry_name(expected.name);
        EXPECT_EQ(found.block, expected.block) << expected.name;
        EXPECT_EQ(found.short_name, expected.short_name) << expected.name;
        EXPECT_EQ(found.without_block, expected.without_block) << expected.name;
    }
}

}  // namespace
}  // namespace assay::imatrix
