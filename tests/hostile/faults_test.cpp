// Memory that is refused and disks that fail, at every place in turn: an Error or std::bad_alloc, which the
// program turns into one sentence, and what was on disk is still there.
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>

#include "backend/open.h"
#include "calibrate/run_fixture.h"
#include "core/error.h"
#include "engine/small_model.h"
#include "imatrix/file.h"
#include "support/allocations.h"
#include "support/faulty_reads.h"
#include "tokenizer/tokenizer.h"

namespace assay::test {
namespace {

/// Numbers from 0 on; far ones only in part, unless ASSAY_EVERY_FAULT asks for all.
std::uint64_t next(std::uint64_t number) {
    static const bool every = std::getenv("ASSAY_EVERY_FAULT") != nullptr;
    return every ? number + 1 : number + 1 + number / 32;
}

/// Refuses one allocation of `action` after another until it needs no more. Returns how many it needs.
template <typename Action> std::uint64_t refuse_each(Action action) {
    action();  // what is made once stays out of it
    std::uint64_t n_refused = 0, n_tried = 0;
    for (std::uint64_t number = 0;; number = next(number)) {
        const FailingAllocation failing(number);
        bool ended = false;
        try {
            action();
        } catch (const std::bad_alloc&) {
            ended = true;
        } catch (const Error& error) {
            EXPECT_NE(error.kind(), ErrorKind::Internal) << number << ": " << error.what();
            ended = true;
        }
        n_refused += ended;
        ++n_tried;
        if (!failing.happened()) {
            EXPECT_FALSE(ended);
            EXPECT_GE(2 * n_refused + 1, n_tried) << "most allocations matter";
            return number;
        }
    }
}

TEST(Allocations, OpeningAModel) {
    const Fixture fixture("llama-moe");
    EXPECT_GT(refuse_each([&] { (void)model::build(gguf::File::open(fixture.model()), {64}); }), 500u);
}

TEST(Allocations, CopyingValues) {
    const std::string long_text(100, 'x');
    for (const gguf::Value& value : {gguf::text(long_text), gguf::texts({long_text, long_text}),
                                     gguf::i32s({1, 2}), gguf::f64s({1, 2}), gguf::u32(1)}) {
        gguf::Value other = gguf::text(long_text);
        refuse_each([&] {
            const gguf::Value copy = value;
            other = value;
            EXPECT_EQ(copy.data.index(), other.data.index());
        });
        EXPECT_EQ(other.data, value.data);
    }
}

TEST(Allocations, ReadingAndWritingAMatrix) {
    const TempDir folder;
    for (const char* name : {"peer.gguf", "peer.dat"}) {
        const auto path = std::filesystem::path(ASSAY_GOLDEN_DIR) / "imatrix" / name;
        imatrix::Notes notes;
        const imatrix::Matrix matrix = imatrix::load(path, {}, notes);
        EXPECT_GT(refuse_each([&] {
                      imatrix::Notes own;
                      (void)imatrix::load(path, {}, own);
                  }),
                  50u);
        const auto output = folder / name;
        EXPECT_GT(refuse_each([&] {
                      imatrix::Notes own;
                      imatrix::save(matrix, output, imatrix::format_for(output, {}), own);
                  }),
                  10u);
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
            << "nothing beside it";
        std::filesystem::remove(output);
    }
}

TEST(Allocations, MakingAndUsingATokenizer) {
    for (const char* name : {"llama-dense", "qwen2-dense"}) {
        const Fixture fixture(name);
        const gguf::File file = gguf::File::open(fixture.model());
        EXPECT_GT(
            refuse_each([&] {
                (void)tokenizer::make_tokenizer(file.metadata())->encode("A word, another one: 12345.\n");
            }),
            100u);
    }
}

TEST(Allocations, ACalibration) {
    const Fixture fixture("llama-moe");
    calibrate::Options options = calibrate::options_for(fixture);
    options.n_ctx = 16;
    options.max_chunks = 2;
    options.wave_chunks = 1;
    options.similarity = true;
    write_file_atomically(options.output, std::as_bytes(std::span("old")));
    calibrate::Recorder recorder;
    run(options, recorder);
    const std::string whole = read_file(options.output);
    EXPECT_GT(refuse_each([&] {
                  calibrate::Recorder own;
                  run(options, own);
              }),
              1000u);
    EXPECT_EQ(read_file(options.output), whole);
}

class FaultyReads : public testing::Test {
  protected:
    /// Tries reads one after another until there are no more, and returns how many there were. Only a broken
    /// one may, and must, be an error.
    template <typename Action> std::int64_t each(Fault fault, Action action) {
        for (std::int64_t number = 0;; ++number) {
            const FaultyRead faulty(fault, number);
            try {
                action();
                EXPECT_TRUE(fault != Fault::Broken || !faulty.happened()) << number << " was not noticed";
            } catch (const Error& error) {
                EXPECT_EQ(error.kind(), ErrorKind::Io);
                EXPECT_TRUE(fault == Fault::Broken && faulty.happened()) << number << ": " << error.what();
            }
            if (!faulty.happened()) return number;
        }
    }
};

constexpr Fault kAll[] = {Fault::Short, Fault::Cut, Fault::Interrupted, Fault::Broken};

TEST_F(FaultyReads, OfAText) {
    const TempDir folder;
    const std::string text(300'000, 'x');
    write_file_atomically(folder / "text", std::as_bytes(std::span(text)));
    for (const Fault fault : kAll)
        EXPECT_GT(each(fault, [&] { EXPECT_EQ(read_file(folder / "text") == text, true); }), 3);
}

TEST_F(FaultyReads, PastThePageCache) {
    constexpr std::size_t kPage = DirectFile::kAlignment;
    const TempDir folder;
    std::vector<std::byte> content((std::size_t{9} << 20) + 1234);  // two reads, the last page not whole
    for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
    write_file_atomically(folder / "file", content);
    const PageMemory memory((content.size() + kPage - 1) / kPage * kPage);
    const DirectFile file(folder / "file");
    for (const Fault fault : kAll)
        EXPECT_GT(each(fault,
                       [&] {
                           std::ranges::fill(memory.bytes(), std::byte{0x5A});
                           file.read(0, memory.bytes());
                           EXPECT_TRUE(std::ranges::equal(content, memory.bytes().first(content.size())));
                       }),
                  1);
}

// The pass's threads pass it on.
TEST_F(FaultyReads, OfAStreamedModel) {
    const engine::SmallModel model("llama-dense");
    ThreadPool pool(1);
    const auto backend = backend::open({"cpu", backend::Precision::F32, {}, engine::kContext}, pool);
    plan::PassOptions options;
    options.n_ctx = engine::kContext;
    const plan::PassPlan pass_plan(model.file, model.program, *backend, options);
    EXPECT_GT(each(Fault::Broken,
                   [&] {
                       engine::Pass streamed(pass_plan, *backend, {.stream = true, .spill_folder = {}});
                       (void)model.run(streamed);
                   }),
              5);
}

}  // namespace
}  // namespace assay::test
