#include "calibrate/sensitivity.h"

#include <algorithm>
#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/run_fixture.h"
#include "core/error.h"
#include "gguf/writer.h"
#include "model/registry.h"
#include "quant/encode.h"

namespace assay::calibrate {
namespace {

using perplexity::UnitSensitivity;
using quant::TypeId;

SensitivityOptions sensitivity_of(const test::Fixture& fixture, UnitBy by, std::vector<TypeId> types) {
    SensitivityOptions options;
    options.run = options_for(fixture);
    options.run.max_chunks = 2;
    options.by = by;
    options.types = std::move(types);
    return options;
}

SensitivityResult run_quietly(const SensitivityOptions& options) {
    Recorder recorder;
    return run_sensitivity(options, recorder);
}

std::string refusal(const SensitivityOptions& options) {
    try {
        run_quietly(options);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

/// The model with the tensors of `round` as `type` leaves them: encoded, decoded, stored as `stored`.
std::filesystem::path rounded_model(const test::Fixture& fixture, const std::vector<std::string>& round,
                                    TypeId type, TypeId stored) {
    const gguf::File file = gguf::File::open(fixture.model());
    gguf::Writer writer;
    for (const auto& [key, value] : file.metadata().values()) writer.add(key, value);
    std::deque<std::vector<std::byte>> kept;
    for (const gguf::Tensor& tensor : file.tensors()) {
        const std::vector<std::uint64_t> ne(tensor.ne.begin(), tensor.ne.end());
        if (std::ranges::find(round, tensor.name) == round.end()) {
            writer.add_tensor(tensor.name, ne, tensor.type->id, file.data(tensor));
            continue;
        }
        const std::uint64_t n = tensor.ne[0];
        std::vector<float> row(n);
        std::vector<std::byte> between(quant::row_bytes(quant::type_info(type), n));
        auto& bytes = kept.emplace_back();
        for (std::uint64_t r = 0; r < tensor.rows(); ++r) {
            tensor.type->decode(file.data(tensor).data() + r * tensor.row_bytes(), n, row.data());
            quant::find_encoder(type)(row.data(), n, nullptr, between.data());
            quant::type_info(type).decode(between.data(), n, row.data());
            const std::size_t at = bytes.size();
            bytes.resize(at + quant::row_bytes(quant::type_info(stored), n));
            quant::find_encoder(stored)(row.data(), n, nullptr, bytes.data() + at);
        }
        writer.add_tensor(tensor.name, ne, stored, bytes);
    }
    const auto path = fixture.folder() / "rounded.gguf";
    write_file_atomically(path, writer.bytes());
    return path;
}

std::vector<std::string> weights_of(const test::Fixture& fixture) {
    std::vector<std::string> names;
    const gguf::File file = gguf::File::open(fixture.model());
    for (const gguf::Tensor& tensor : file.tensors())
        if (tensor.n_dims > 1) names.push_back(tensor.name);
    return names;
}

class SensitivityOf : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Layers, SensitivityOf, testing::Values("llama-dense", "llama-moe", "gemma3-dense"),
                         [](const auto& name) {
                             std::string text = name.param;
                             std::ranges::replace(text, '-', '_');
                             return text;
                         });

TEST_P(SensitivityOf, AVariantIsTheModelWithTheseTensorsRounded) {
    const test::Fixture fixture(GetParam());
    for (const UnitBy by : {UnitBy::Layer, UnitBy::Kind}) {
        const SensitivityOptions options = sensitivity_of(fixture, by, {TypeId::Q4_0});
        const SensitivityResult result = run_quietly(options);
        Recorder recorder;
        const double reference = run(options.run, recorder).perplexity.value();
        // The sums are the same, taken in another order.
        EXPECT_NEAR(result.table.perplexity.value, reference, 1e-6 * reference);
        for (const UnitSensitivity& unit : result.table.units) {
            Options rounded = options.run;
            rounded.model = rounded_model(fixture, unit.tensors, TypeId::Q4_0, TypeId::Q4_0);
            const double perplexity = run(rounded, recorder = {}).perplexity.value();
            EXPECT_NEAR(unit.perplexity_change.value, perplexity - reference, 1e-6 * reference) << unit.unit;
            EXPECT_GT(unit.divergence.value, 0) << unit.unit;
            EXPECT_GT(unit.divergence.error, 0) << unit.unit;
        }
    }
}

TEST_P(SensitivityOf, NothingChangesWhereATypeHoldsTheWeightsExactly) {
    const test::Fixture fixture(GetParam());
    SensitivityOptions options = sensitivity_of(fixture, UnitBy::Kind, {TypeId::F32, TypeId::F16});
    // Halves stored as floats, so that F16 goes all the way through the encoder.
    options.run.model = rounded_model(fixture, weights_of(fixture), TypeId::F16, TypeId::F32);
    for (const backend::Precision precision : {backend::Precision::F32, backend::Precision::Auto}) {
        options.run.precision = precision;
        for (const UnitSensitivity& unit : run_quietly(options).table.units) {
            EXPECT_EQ(unit.divergence.value, 0) << unit.unit;
            EXPECT_EQ(unit.divergence.error, 0) << unit.unit;
            EXPECT_EQ(unit.perplexity_change.value, 0) << unit.unit;
            EXPECT_EQ(unit.perplexity_change.error, 0) << unit.unit;
        }
    }
}

bool same(const perplexity::Measured& a, const perplexity::Measured& b) {
    return a.value == b.value && a.error == b.error;
}

TEST_P(SensitivityOf, TheSameNumbersForAnyMemoryAndThreads) {
    const test::Fixture fixture(GetParam());
    SensitivityOptions options = sensitivity_of(fixture, UnitBy::Tensor, {TypeId::Q4_0});
    options.run.max_chunks = 5;
    options.run.precision = backend::Precision::Auto;
    Recorder recorder;
    const perplexity::Sensitivity first = run_sensitivity(options, recorder).table;
    EXPECT_EQ(recorder.plan.n_sweeps, 1);
    EXPECT_EQ(recorder.plan.n_variants, static_cast<std::int64_t>(first.units.size()));
    for (const int n_threads : {1, 3}) {
        options.run.n_threads = n_threads;
        options.run.memory_bytes = 1;
        // "... need N MiB", rounded down: the least bound is above that.
        const std::string too_few = refusal(options);
        const std::uint64_t least = std::stoull(too_few.substr(too_few.rfind("need ") + 5)) + 1;
        options.run.memory_bytes = least << 20;
        const perplexity::Sensitivity again = run_sensitivity(options, recorder = {}).table;
        EXPECT_GT(recorder.plan.n_sweeps, 1);
        EXPECT_LE(recorder.plan.memory_bytes, least << 20);
        EXPECT_TRUE(same(again.perplexity, first.perplexity));
        ASSERT_EQ(again.units.size(), first.units.size());
        for (std::size_t i = 0; i < first.units.size(); ++i) {
            EXPECT_EQ(again.units[i].unit, first.units[i].unit);
            EXPECT_TRUE(same(again.units[i].divergence, first.units[i].divergence)) << first.units[i].unit;
            EXPECT_TRUE(same(again.units[i].perplexity_change, first.units[i].perplexity_change));
        }
    }
}

TEST(Sensitivity, AMatrixGuidesTheRounding) {
    const test::Fixture fixture("llama-moe");
    SensitivityOptions options = sensitivity_of(fixture, UnitBy::Kind, {TypeId::Q4_0, TypeId::Q8_0});
    Recorder recorder;
    run(options.run, recorder);
    const perplexity::Sensitivity plain = run_quietly(options).table;
    options.matrix = options.run.output;
    const perplexity::Sensitivity guided = run_quietly(options).table;
    ASSERT_EQ(plain.units.size(), guided.units.size());
    for (std::size_t i = 0; i < plain.units.size(); ++i) {
        // The embedding is not in the matrix, and Q8_0 is written without it.
        const bool as_before = plain.units[i].type == "q8_0" || plain.units[i].unit == "token_embd";
        EXPECT_EQ(same(plain.units[i].divergence, guided.units[i].divergence), as_before)
            << plain.units[i].unit << " " << plain.units[i].type;
    }
}

TEST(Sensitivity, UnitsAreLayersKindsOrTensors) {
    const test::Fixture fixture("llama-moe");
    const gguf::File file = gguf::File::open(fixture.model());
    const model::Program program = model::build(file, {128});
    const auto names = [&](UnitBy by) {
        std::vector<std::string> found;
        for (const RoundedUnit& unit : plan_rounding(file, program, by, {TypeId::Q4_0}).units)
            found.push_back(unit.unit);
        return found;
    };
    EXPECT_THAT(names(UnitBy::Layer), testing::ElementsAre("token_embd", "output", "blk.0", "blk.1"));
    // Routers are left as they are stored.
    EXPECT_THAT(names(UnitBy::Kind), testing::UnorderedElementsAre("token_embd", "output", "attn_q", "attn_k",
                                                                   "attn_v", "attn_output", "ffn_gate_exps",
                                                                   "ffn_up_exps", "ffn_down_exps"));
    EXPECT_EQ(names(UnitBy::Tensor).size(), 2u + 2 * 7);
}

TEST(Sensitivity, SaysWhichTensorsATypeDoesNotFit) {
    const test::Fixture fixture("llama-dense");
    Recorder recorder;
    const SensitivityResult result =
        run_sensitivity(sensitivity_of(fixture, UnitBy::Kind, {TypeId::Q4_K}), recorder);
    // Rows of 384.
    EXPECT_THAT(recorder.notes,
                testing::ElementsAre("2 tensors stay as they are, their rows are no multiple of "
                                     "the block of q4_K: ffn_down.weight (384)"));
    ASSERT_EQ(result.table.unrounded.size(), 1u);
    EXPECT_EQ(result.table.unrounded[0].type, "q4_K");
    EXPECT_THAT(result.table.unrounded[0].tensors,
                testing::ElementsAre("blk.0.ffn_down.weight", "blk.1.ffn_down.weight"));
    for (const UnitSensitivity& unit : result.table.units) EXPECT_NE(unit.unit, "ffn_down");
}

TEST(Sensitivity, RefusesWhatItCannotDo) {
    const test::Fixture fixture("llama-dense");
    SensitivityOptions options = sensitivity_of(fixture, UnitBy::Layer, {});
    EXPECT_THAT(refusal(options), testing::HasSubstr("--type: needs a storage type"));
    options.types = {TypeId::IQ1_S};
    EXPECT_THAT(refusal(options), testing::HasSubstr("cannot round to iq1_s"));
    options.types = {TypeId::Q4_0};
    options.run.text.clear();
    EXPECT_THAT(refusal(options), testing::HasSubstr("tokens"));
    options = sensitivity_of(fixture, UnitBy::Layer, {TypeId::Q4_0});
    options.run.n_ctx = 2;
    EXPECT_THAT(refusal(options), testing::HasSubstr("--ctx-size"));
    options = sensitivity_of(fixture, UnitBy::Layer, {TypeId::Q4_0});
    options.matrix = fixture.folder() / "missing.gguf";
    EXPECT_FALSE(refusal(options).empty());
    options = sensitivity_of(fixture, UnitBy::Layer, {TypeId::Q4_0});
    options.run.max_chunks = 0;
    EXPECT_THAT(refusal(options), testing::HasSubstr("--chunks"));
}

}  // namespace
}  // namespace assay::calibrate
