// Numbers among the metadata that no model has.
#include "gguf/limits.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "gguf/writer.h"
#include "model/registry.h"
#include "support/temp_dir.h"

namespace assay::model {
namespace {

/// What build() says of a model that has metadata only.
std::string refusal(const std::string& architecture,
                    std::vector<std::pair<std::string, gguf::Value>> values) {
    const test::TempDir folder;
    gguf::Writer writer;
    writer.add("general.architecture", gguf::text(architecture));
    const auto defaults = {std::pair("embedding_length", 64u), {"context_length", 64u}, {"block_count", 2u}};
    for (const auto& [key, value] : defaults)
        if (std::ranges::find(values, key, [](const auto& v) { return v.first; }) == values.end())
            writer.add(architecture + "." + key, gguf::u32(value));
    for (auto& [key, value] : values) writer.add(architecture + "." + key, std::move(value));
    write_file_atomically(folder / "model.gguf", writer.bytes());
    try {
        const gguf::File file = gguf::File::open(folder / "model.gguf");
        (void)build(file, {64});
    } catch (const Error& error) {
        return error.message();
    }
    return "nothing";
}

TEST(Limits, WidthsAndLayers) {
    EXPECT_EQ(refusal("llama", {{"embedding_length", gguf::u64(gguf::limits::kWidth + 1)}}),
              "llama.embedding_length is 16777217, expected 1 to 16777216");
    EXPECT_EQ(refusal("llama", {{"block_count", gguf::u32(5000)}}),
              "5000 blocks, 0 of them for several tokens ahead, expected 1 to 4096 layers beside those");
}

// Their product is beyond 64 bits.
TEST(Limits, PassesThroughLayers) {
    const auto most = gguf::u64(gguf::limits::kWidth);
    EXPECT_EQ(
        refusal("hrm_text", {{"hrm.layers_per_stack", most}, {"hrm.h_cycles", most}, {"hrm.l_cycles", most}}),
        "16777216 passes through layers, expected 1 to 4096");
    EXPECT_EQ(refusal("hrm_text", {{"hrm.layers_per_stack", gguf::u32(64)},
                                   {"hrm.h_cycles", gguf::u32(64)},
                                   {"hrm.l_cycles", gguf::u32(64)}}),
              "266240 passes through layers, expected 1 to 4096");
}

}  // namespace
}  // namespace assay::model
