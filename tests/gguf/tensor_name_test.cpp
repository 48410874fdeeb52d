#include "gguf/tensor_name.h"

#include <gtest/gtest.h>

namespace assay::gguf {
namespace {

TEST(BlockOf, IsTheNumberBetweenTheDots) {
    EXPECT_EQ(block_of("blk.7.attn_q.weight"), 7);
    EXPECT_EQ(block_of("blk.120.x"), 120);
}

TEST(BlockOf, IsNothingOutsideBlocks) {
    for (const char* name :
         {"output.weight", "", "blk.", "blk.7", "blk.x.attn_q.weight", "blk.-1.attn_q.weight",
          "blk.7x.weight", "ablk.7.weight", "blk.99999999999999999999.weight"})
        EXPECT_FALSE(block_of(name)) << name;
}

}  // namespace
}  // namespace assay::gguf
