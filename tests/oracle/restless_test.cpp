// Models whose results rounding alone moves further than the tolerances for mistakes allow: that it is
// rounding.
#include <gtest/gtest.h>

#include "calibrate/run_fixture.h"
#include "calibrate/text_chunks.h"
#include "model/registry.h"
#include "oracle/oracle.h"

namespace assay::oracle {
namespace {

/// One fixture, its chunks, and what the peer and the engine make of it.
struct Subject {
    explicit Subject(const std::string& name)
        : fixture(name),
          options(calibrate::options_for(fixture)),
          file(gguf::File::open(options.model)),
          program(model::build(file, {options.n_ctx})),
          chunks(calibrate::tokenize(file, options, recorder)) {}

    Oracle interpreted(const model::Program& altered, std::int64_t n_chunks) const {
        Oracle oracle(altered, file);
        for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk)
            oracle.run(chunks.input_range(chunk, 1), chunks.target_range(chunk, 1));
        return oracle;
    }
    test::Matrix run() {
        calibrate::run(options, recorder);
        return test::read_matrix(options.output);
    }

    calibrate::Recorder recorder;
    test::Fixture fixture;
    calibrate::Options options;
    gguf::File file;
    model::Program program;
    calibrate::Chunks chunks;
};

/// Every function of the program by itself and of its gates.
template <typename Body> void each_activation(model::Program& program, Body body) {
    for (model::Layer& layer : program.layers)
        for (model::Stage& stage : layer.stages)
            for (model::Step& step : stage.steps) {
                if (auto* product = std::get_if<model::GatedProduct>(&step.operation))
                    body(product->function.activation);
                if (auto* experts = std::get_if<model::Experts>(&step.operation))
                    body(experts->function.activation);
                if (auto* chain = std::get_if<model::Chain>(&step.operation))
                    for (model::Link& link : chain->links) body(link.activation);
            }
}

// GELU rounds to halves before and after, as the peer's table does: an argument near the middle between two
// halves goes to the other for an error of an f32 sum, a step of 2^-11 in place of 2^-24.
class Halves : public testing::TestWithParam<std::string> {};

/// How far an error in embeddings such as f32 sums have, a part in 2^20, moves the perplexities.
double movement(const Subject& subject, const model::Program& program, std::int64_t n_chunks) {
    model::Program moved = program;
    for (model::Step& step : moved.start.steps)
        if (auto* lookup = std::get_if<model::Lookup>(&step.operation)) lookup->scale *= 1 + 0x1p-20f;
    return test::perplexity_error(subject.interpreted(moved, n_chunks).running_perplexity(),
                                  subject.interpreted(program, n_chunks).running_perplexity());
}

TEST_P(Halves, MoveGemma4AsFarAsItDiffers) {
    constexpr std::int64_t kChunks = 2;
    Subject subject(GetParam());
    const double with_halves = movement(subject, subject.program, kChunks);
    model::Program smooth = subject.program;
    each_activation(smooth, [](Activation& activation) {
        if (activation == Activation::Gelu) activation = Activation::Silu;
    });
    EXPECT_GT(with_halves, 20 * movement(subject, smooth, kChunks));

    const test::Matrix matrix = subject.run();
    const auto first = [](const std::vector<double>& all) {
        return std::vector<double>(all.begin(), all.begin() + kChunks);
    };
    const std::vector<double> exact = subject.interpreted(subject.program, kChunks).running_perplexity();
    // Each is one draw of what halves do: seen are 1.1 and 0.7 of the movement.
    EXPECT_LE(test::perplexity_error(exact, first(subject.fixture.running_perplexity())), 4 * with_halves);
    EXPECT_LE(test::perplexity_error(first(subject.recorder.perplexities), exact), 4 * with_halves);
    // A column of a small entry holds a few steps of halves: 2^-11 of a value, twice that of its energy.
    const auto problems = test::differences(matrix, subject.fixture.matrix(), {.values = 5e-3});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

INSTANTIATE_TEST_SUITE_P(OfGelu, Halves, testing::Values("gemma4-dense", "gemma4-e2b-dense", "gemma4-moe"),
                         [](const auto& param) { return test::test_name(param.param); });

// Thirty layers of four streams that steer one another: rounding to f32 moves it further than other models
// even without halves, and two builds of the peer differ by 3e-2 in a column of layer 20, its deepest.
TEST(Streams, OfGemma3nAreAsFarApartAsHalvesMoveThem) {
    constexpr std::int64_t kChunks = 2;
    Subject subject("gemma3n-dense");
    const double with_halves = movement(subject, subject.program, kChunks);
    const test::Matrix matrix = subject.run();
    const auto first = [](const std::vector<double>& all) {
        return std::vector<double>(all.begin(), all.begin() + kChunks);
    };
    const std::vector<double> exact = subject.interpreted(subject.program, kChunks).running_perplexity();
    EXPECT_LE(test::perplexity_error(exact, first(subject.fixture.running_perplexity())), 4 * with_halves);
    EXPECT_LE(test::perplexity_error(first(subject.recorder.perplexities), exact), 4 * with_halves);
    const auto problems = test::differences(matrix, subject.fixture.matrix(),
                                            {.values = 3e-2, .measure = test::Measure::Energy});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

/// Leaves out experts whose counts differ, in both. The largest number of rows that an entry's experts have
/// more or less.
double drop_moved(test::Matrix& a, test::Matrix& b) {
    double most = 0;
    for (auto& [name, mine] : a) {
        test::Energy& other = b.at(name);
        double moved = 0;
        for (std::size_t e = 0; e < mine.counts.size(); ++e) {
            if (mine.counts[e] == other.counts[e]) continue;
            moved += std::abs(mine.counts[e] - other.counts[e]);
            mine.counts[e] = other.counts[e] = 0;
        }
        most = std::max(most, moved);
    }
    return most;
}

TEST(NearTie, IsAllThatSetsMistral4WithYarnApart) {
    Subject subject("mistral4-yarn-moe");
    const std::int64_t n_chunks = subject.chunks.n_chunks();
    const Oracle oracle = subject.interpreted(subject.program, n_chunks);
    // Scores are f32 numbers below 1 that came through some forty products: 1e-5 (oracle_test.cpp).
    EXPECT_LE(oracle.least_margin(), 1e-5);
    test::Matrix exact = oracle.matrix(), mine = subject.run(), peer = subject.fixture.matrix();
    test::Matrix exact_again = exact;
    // One row takes another expert. What it has of the energy behind that, as much again elsewhere, and f32.
    const auto rows = static_cast<double>(n_chunks * subject.options.n_ctx);
    const test::Tolerance one_row{.values = 2 / rows + 2e-4, .counts = 0, .measure = test::Measure::Energy};
    EXPECT_LE(drop_moved(mine, exact), 2);
    EXPECT_LE(drop_moved(exact_again, peer), 2);
    for (const auto& problems :
         {test::differences(mine, exact, one_row), test::differences(exact_again, peer, one_row)})
        EXPECT_TRUE(problems.empty()) << problems.front();
    EXPECT_LE(test::perplexity_error(subject.recorder.perplexities, subject.fixture.running_perplexity()),
              1e-4);
}

}  // namespace
}  // namespace assay::oracle
