// Rotary frequencies against the formulas of linear scaling, YaRN and LongRoPE, written out for each pair.
#include "model/rope.h"

#include <cmath>
#include <gtest/gtest.h>
#include <numbers>

#include "core/error.h"
#include "core/file.h"
#include "gguf/writer.h"
#include "support/temp_dir.h"

namespace assay::model {
namespace {

constexpr std::int64_t kHeadDim = 16;
constexpr double kBase = 10000;

using Keys = std::vector<std::pair<std::string, gguf::Value>>;

/// The rotation of a model with these keys (after "llama.") and tensors of kHeadDim / 2 factors.
Rope rope(const Keys& keys, const std::vector<std::pair<std::string, std::vector<float>>>& tensors = {},
          std::int64_t n_ctx = 512) {
    const test::TempDir folder;
    gguf::Writer writer;
    writer.add("general.architecture", gguf::text("llama"));
    writer.add("llama.block_count", gguf::u32(1));
    writer.add("llama.embedding_length", gguf::u32(64));
    writer.add("llama.context_length", gguf::u32(2048));
    writer.add("llama.attention.head_count", gguf::u32(4));
    for (const auto& [key, value] : keys) writer.add("llama." + key, value);
    for (const auto& [name, factors] : tensors)
        writer.add_tensor(name, {factors.size()}, quant::TypeId::F32, std::as_bytes(std::span(factors)));
    write_file_atomically(folder / "m.gguf", writer.bytes());
    const gguf::File file = gguf::File::open(folder / "m.gguf");
    return make_rope(Builder(file, "llama", {n_ctx}), kHeadDim, {});
}

double plain(std::size_t pair) { return std::pow(kBase, -2.0 * static_cast<double>(pair) / kHeadDim); }

template <typename Expected> void expect_frequencies(const Rope& found, Expected expected) {
    const std::vector<float>& frequencies = found.frequencies.values;
    ASSERT_EQ(frequencies.size(), std::size_t{kHeadDim / 2});
    for (std::size_t pair = 0; pair < frequencies.size(); ++pair)
        EXPECT_NEAR(frequencies[pair] / expected(pair), 1.0, 1e-6) << pair;
}

TEST(Rope, IsPlainWithoutScaling) {
    expect_frequencies(rope({}), plain);
    EXPECT_EQ(rope({}).magnitude, 1.0f);
    expect_frequencies(
        rope({{"rope.scaling.type", gguf::text("none")}, {"rope.scaling.factor", gguf::f32(4)}}), plain);
}

TEST(Rope, LinearScalingDividesAll) {
    const auto half = [](std::size_t pair) { return plain(pair) / 2; };
    expect_frequencies(
        rope({{"rope.scaling.type", gguf::text("linear")}, {"rope.scaling.factor", gguf::f32(2)}}), half);
    expect_frequencies(rope({{"rope.scale_linear", gguf::f32(2)}}), half);  // of older files
}

TEST(Rope, YarnKeepsWhatTurnsOften) {
    const Keys keys{{"rope.scaling.type", gguf::text("yarn")},
                    {"rope.scaling.factor", gguf::f32(4)},
                    {"rope.scaling.original_context_length", gguf::u32(64)}};
    // Pairs that turn 32 times within 64 tokens would be kept, those below one turn are scaled.
    const auto pair_of = [](double turns) {
        return kHeadDim * std::log(64 / (turns * 2 * std::numbers::pi)) / (2 * std::log(kBase));
    };
    const double low = std::max(0.0, std::floor(pair_of(32))),
                 high = std::min(kHeadDim - 1.0, std::ceil(pair_of(1)));
    const auto expected = [&](std::size_t pair) {
        const double scaled =
            std::clamp((static_cast<double>(pair) - low) / std::max(0.001, high - low), 0.0, 1.0);
        return plain(pair) * ((1 - scaled) + scaled / 4);
    };
    const Rope found = rope(keys);
    expect_frequencies(found, expected);
    EXPECT_NEAR(found.magnitude, 1 + 0.1 * std::log(4.0), 1e-6);
    Keys with_factor = keys;
    with_factor.emplace_back("rope.scaling.attn_factor", gguf::f32(0.7f));
    EXPECT_NEAR(rope(with_factor).magnitude, 0.7 * (1 + 0.1 * std::log(4.0)), 1e-6);
}

TEST(Rope, FactorsDivideEachPair) {
    const std::vector<float> own{1.4f, 1.5f, 1.6f, 1.45f, 1.55f, 1.41f, 1.42f, 1.43f}, three(8, 3.0f);
    expect_frequencies(rope({}, {{"rope_freqs.weight", own}}),
                       [&](std::size_t pair) { return plain(pair) / double{own[pair]}; });
    const Keys longrope{{"rope.scaling.type", gguf::text("longrope")},
                        {"rope.scaling.original_context_length", gguf::u32(128)},
                        {"rope.scaling.attn_factor", gguf::f32(1.19f)}};
    const std::vector<std::pair<std::string, std::vector<float>>> both{{"rope_factors_long.weight", three},
                                                                       {"rope_factors_short.weight", own}};
    expect_frequencies(rope(longrope, both, 256), [](std::size_t pair) { return plain(pair) / 3; });
    expect_frequencies(rope(longrope, both, 128),
                       [&](std::size_t pair) { return plain(pair) / double{own[pair]}; });
    EXPECT_NEAR(rope(longrope, both).magnitude, 1.19, 1e-6);
}

TEST(Rope, RefusesAScalingThatItDoesNotKnow) {
    try {
        rope({{"rope.scaling.type", gguf::text("dynamic")}, {"rope.scaling.factor", gguf::f32(4)}});
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_NE(error.message().find("llama.rope.scaling.type is \"dynamic\", expected none"),
                  std::string::npos)
            << error.message();
    }
}

}  // namespace
}  // namespace assay::model
