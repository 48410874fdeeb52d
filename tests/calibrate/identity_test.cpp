// Everything that the bytes of a result follow from makes another run of it, and has a name.
#include "calibrate/identity.h"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/open.h"
#include "core/file.h"
#include "gguf/writer.h"
#include "support/fixture.h"

namespace assay::calibrate {
namespace {

using testing::HasSubstr;

class IdentityTest : public testing::Test {
  protected:
    IdentityTest() {
        chunks_.n_ctx = 2;
        chunks_.starts = {0, 2, 4};
        chunks_.inputs = chunks_.targets = {1, 2, 3, 4};
        options_.n_ctx = 2;
        options_.output = folder_ / "out.gguf";
    }
    Identity identity(std::int64_t wave_chunks = 4) const {
        return identity_of(options_, file_, chunks_, *backend_, wave_chunks);
    }
    /// What a change is called, by the first item that differs.
    std::string named(const std::function<void(Options&, Chunks&)>& change) {
        const Options options = options_;
        const Chunks chunks = chunks_;
        const Identity before = identity();
        change(options_, chunks_);
        const auto difference = calibrate::difference(before, identity());
        options_ = options;
        chunks_ = chunks;
        return difference.value_or("nothing");
    }
    std::filesystem::path write(const std::string& name, const std::string& content) const {
        write_file_atomically(folder_ / name, std::as_bytes(std::span(content)));
        return folder_ / name;
    }

    test::TempDir folder_;
    test::Fixture fixture_{"llama-dense"};
    const gguf::File file_ = gguf::File::open(fixture_.model());
    ThreadPool pool_{1};
    const std::unique_ptr<backend::Backend> backend_ =
        backend::open({"cpu", backend::Precision::F32, {}, 2}, pool_);
    Options options_;
    Chunks chunks_;
};

TEST(Identity, NamesTheFirstDifference) {
    const Identity one{{"a", "1"}, {"b", "2"}};
    EXPECT_FALSE(difference(one, one));
    EXPECT_EQ(difference(one, {{"a", "1"}, {"b", "3"}}), "b was 2, is 3 now");
    EXPECT_EQ(difference(one, {{"a", "1"}}), "b was 2, is unknown now");
    EXPECT_EQ(difference({{"a", "1"}}, one), "b was unknown, is 2 now");
    EXPECT_EQ(difference(one, {{"a", "1"}, {"c", "2"}}), "c is asked for now, b was then");
}

TEST_F(IdentityTest, NamesEachOptionThatCounts) {
    EXPECT_EQ(named([](Options&, Chunks&) {}), "nothing");
    const auto option = [&](auto change) { return named([&](Options& o, Chunks&) { change(o); }); };
    EXPECT_THAT(option([](Options& o) { o.dataset = "a"; }), HasSubstr("the text's name was"));
    EXPECT_EQ(option([](Options& o) { o.parse_special = true; }), "--parse-special was no, is yes now");
    EXPECT_EQ(option([](Options& o) { o.n_ctx = 3; }), "--ctx-size was 2, is 3 now");
    EXPECT_THAT(option([](Options& o) { o.process_output = true; }),
                HasSubstr("was not collected, is output.weight now"));
    EXPECT_THAT(option([](Options& o) { o.perplexity = false; }), HasSubstr("--no-ppl"));
    EXPECT_THAT(option([](Options& o) { o.similarity = true; }), HasSubstr("-lsim"));
    EXPECT_THAT(option([](Options& o) { o.nextn = true; }), HasSubstr("--nextn"));
    EXPECT_THAT(option([](Options& o) { o.draft = "draft.gguf"; }), HasSubstr("-md"));
    EXPECT_THAT(option([](Options& o) { o.complete = true; }), HasSubstr("--complete was no"));
    EXPECT_EQ(option([](Options& o) { o.missing_experts = MissingExperts::One; }),
              "--missing-experts was zero, is one now");
    EXPECT_EQ(option([](Options& o) { o.missing_experts = MissingExperts::All; }),
              "--missing-experts was zero, is all now");
    EXPECT_THAT(option([](Options& o) { o.skip_chunks = 1; }), HasSubstr("--chunk was 0"));
    EXPECT_EQ(option([](Options& o) {
                  o.n_threads = 3;
                  o.save_every = 7;
                  o.memory_bytes = 1;
                  o.wave_chunks = 9;
                  o.max_chunks = 2;
              }),
              "nothing");
}

TEST_F(IdentityTest, NamesWhatIsOtherInTheText) {
    const auto text = [&](auto change) { return named([&](Options&, Chunks& c) { change(c); }); };
    EXPECT_THAT(text([](Chunks& c) { c.starts.pop_back(); }), HasSubstr("(--chunks) was 2, is 1 now"));
    EXPECT_THAT(text([](Chunks& c) { c.targets.front() = 9; }), HasSubstr("the text's tokens was"));
    EXPECT_THAT(text([](Chunks& c) { c.inputs.front() = 9; }), HasSubstr("first tokens"));
    EXPECT_THAT(text([](Chunks& c) { c.starts = {0, 1, 4}; }), HasSubstr("the chunks' lengths was unknown"));
    EXPECT_THAT(text([](Chunks& c) { c.scored = engine::ScoredTokens::AllButFirst; }),
                HasSubstr("the chunks' lengths was unknown"));
    EXPECT_EQ(text([](Chunks& c) { c.documents.emplace(); }), "nothing");

    chunks_.scored = engine::ScoredTokens::AllButFirst;
    EXPECT_THAT(text([](Chunks& c) { c.weights = {1, 1, 1, 0}; }), HasSubstr("the tokens' weights was none"));
    EXPECT_THAT(text([](Chunks& c) { c.roles = std::vector(4, documents::Role::User); }),
                HasSubstr("who says the tokens"));
    chunks_.starts = {0, 1, 4};
    EXPECT_THAT(text([](Chunks& c) { c.scored = engine::ScoredTokens::SecondHalf; }),
                HasSubstr("scored was all but first, is second half now"));
}

TEST_F(IdentityTest, KnowsTheDayWhereATemplateAskedForIt) {
    chunks_.documents.emplace();
    EXPECT_EQ(named([](Options& o, Chunks&) { o.documents.render.now = "2026-01-02T03:04:05"; }), "nothing");
    chunks_.documents->dated = true;
    EXPECT_THAT(named([](Options& o, Chunks&) { o.documents.render.now = "2026-01-02T03:04:05"; }),
                HasSubstr("--template-date"));
}

TEST_F(IdentityTest, KnowsTheLengthOfWavesWhereTheLastOneCounts) {
    EXPECT_FALSE(difference(identity(4), identity(5)));
    options_.missing_experts = MissingExperts::All;
    EXPECT_THAT(difference(identity(4), identity(5)).value_or(""), HasSubstr("was 4, is 5 now"));
}

TEST_F(IdentityTest, KnowsTheMatricesStartedFrom) {
    const auto from = [&](std::vector<std::filesystem::path> files) {
        return named([&](Options& o, Chunks&) { o.in_files = files; });
    };
    EXPECT_THAT(from({write("a", "1")}), HasSubstr("(--in-file) was 0, is 1 now"));
    options_.in_files = {write("a", "1")};
    EXPECT_THAT(from({write("b", "1")}), HasSubstr("the matrix started from, b"));
    const Identity before = identity();
    write("a", "2");
    EXPECT_THAT(difference(before, identity()).value_or(""), HasSubstr("the matrix started from, a was"));
    EXPECT_FALSE(starts_from_output(options_));
    options_.in_files = {options_.output};
    write("out.gguf", "1");
    EXPECT_TRUE(starts_from_output(options_));
    const Identity itself = identity();
    write("out.gguf", "2");
    EXPECT_FALSE(difference(itself, identity())) << "it changes under the run";
}

TEST_F(IdentityTest, KnowsTheModel) {
    const Identity before = identity_of_model(file_);
    const test::Fixture other("gemma-dense");
    EXPECT_THAT(difference(before, identity_of_model(gguf::File::open(other.model()))).value_or(""),
                HasSubstr("the model's size was"));
    const gguf::File overridden = gguf::File::open(
        fixture_.model(), {{"llama.rope.freq_base", gguf::f32(5)}, {"llama.block_count", gguf::u64(1)}});
    overridden.metadata().find_real("llama.rope.freq_base");
    overridden.metadata().get_integer("llama.block_count");
    const auto both = difference(identity(), identity_of(options_, overridden, chunks_, *backend_, 4));
    EXPECT_THAT(both.value_or(""), HasSubstr("overridden metadata was none"));
    EXPECT_THAT(both.value_or(""), HasSubstr("llama.block_count"));
    EXPECT_THAT(both.value_or(""), HasSubstr("llama.rope.freq_base"));
}

TEST_F(IdentityTest, KnowsEachPartOfASplitModel) {
    const auto model = [&](const std::string& name_of_second, std::size_t n) {
        for (const std::uint16_t part : {0, 1}) {
            gguf::Writer writer;
            writer.add("split.no", gguf::u16(part));
            writer.add("split.count", gguf::u16(2));
            writer.add("split.tensors.count", gguf::u64(2));
            const std::vector<std::byte> weights(n * 4, std::byte{1});
            writer.add_tensor(part == 0 ? "one" : name_of_second, {n}, quant::TypeId::F32, weights);
            write_file_atomically(folder_ / fmt::format("m-{:05}-of-00002.gguf", part + 1), writer.bytes());
        }
        return identity_of_model(gguf::File::open(folder_ / "m-00001-of-00002.gguf"));
    };
    const Identity before = model("two", 8);
    EXPECT_FALSE(difference(before, model("two", 8)));
    EXPECT_THAT(difference(before, model("2nd", 8)).value_or(""), HasSubstr("the model's header was"));
    EXPECT_THAT(difference(before, model("two", 800)).value_or(""),
                testing::ContainsRegex("size was .* \\+ .* bytes"));
}

// By bytes at the beginning, in the middle and at the end of each.
TEST_F(IdentityTest, SeesEachTensor) {
    const Identity before = identity_of_model(file_);
    const std::string bytes = read_file(fixture_.model());
    for (const gguf::Tensor& tensor : {file_.tensors().front(), file_.tensors().back()})
        for (const std::uint64_t at : {std::uint64_t{0}, tensor.size_bytes / 2, tensor.size_bytes - 1}) {
            std::string changed = bytes;
            changed[tensor.offset_bytes + at] ^= 1;
            EXPECT_THAT(difference(before, identity_of_model(gguf::File::open(write("other.gguf", changed))))
                            .value_or(""),
                        HasSubstr("the model's weights (samples) was "))
                << tensor.name << ", byte " << at;
        }
}

// Parts of one text differ in their chunks, and fit together.
TEST_F(IdentityTest, OfPartsIsThatOfTheText) {
    const std::string whole = run_fingerprint(options_, file_, chunks_, *backend_);
    options_.skip_chunks = 7;
    chunks_.starts.pop_back();
    EXPECT_EQ(run_fingerprint(options_, file_, chunks_, *backend_), whole);
    chunks_.text = 1;
    EXPECT_NE(run_fingerprint(options_, file_, chunks_, *backend_), whole);
}

}  // namespace
}  // namespace assay::calibrate
