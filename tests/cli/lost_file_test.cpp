#include "cli/lost_file.h"

#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>

#include "calibrate/job.h"
#include "core/file.h"
#include "support/fixture.h"

namespace assay::cli {
namespace {

/// Cuts the model off once the first wave is under way.
class Cutter final : public calibrate::Observer {
  public:
    explicit Cutter(std::filesystem::path model) : model_(std::move(model)) {}
    void on_note(const std::string&) override {}
    void on_loading(const std::filesystem::path&) override {}
    void on_tokenizing() override {}
    void on_tokenized(double) override {}
    void on_documents(const std::string&) override {}
    void on_plan(const calibrate::Plan&) override {}
    void on_progress(const calibrate::Progress&) override { std::filesystem::resize_file(model_, 4096); }
    void on_perplexity(std::int64_t, double) override {}
    void on_coverage(const stats::Coverage&, std::int64_t) override {}
    void on_inventory(const calibrate::Inventory&) override {}
    void on_saved(const std::filesystem::path&, imatrix::Format, std::int64_t) override {}
    void on_state(const std::string&) override {}
    bool stop_requested() const override { return false; }

  private:
    std::filesystem::path model_;
};

TEST(LostFileDeathTest, AModelCutOffWhileItRunsEndsInASentence) {
    const test::Fixture fixture("llama-dense");
    const auto model = fixture.folder() / "shrinking.gguf";
    std::filesystem::copy_file(fixture.model(), model);
    calibrate::Options options;
    options.model = model;
    options.text = read_file(fixture.run().text);
    options.output = fixture.folder() / "out.gguf";
    options.n_ctx = fixture.run().n_ctx;
    options.max_chunks = 2;
    options.wave_chunks = 1;  // the second wave reads all weights again
    options.device = "cpu";
    options.n_threads = 2;
    write_file_atomically(options.output, std::as_bytes(std::span("old")));
    const auto run = [&] {
        catch_lost_pages();
        Cutter cutter(model);
        calibrate::run(options, cutter);
    };
    EXPECT_EXIT(run(), testing::ExitedWithCode(1),
                "^assay: .*shrinking.gguf: cannot be read to its end any more: [^\n]*\n$");
    EXPECT_EQ(read_file(options.output), std::string("old", 4)) << "nothing on disk is harmed";
}

TEST(LostFileDeathTest, TheFileThatIsCutIsTheOneNamed) {
    const test::TempDir folder;
    const auto names = {"first.gguf", "second.gguf", "third.gguf"};
    const auto run = [&] {
        std::vector<MappedFile> files;
        for (const char* name : names) {
            write_file_atomically(folder / name, std::vector<std::byte>(1 << 16));
            files.emplace_back(folder / name);
        }
        files.erase(files.begin());  // moves the others
        catch_lost_pages();
        std::filesystem::resize_file(folder / "second.gguf", 0);
        (void)*static_cast<const volatile std::byte*>(files.front().bytes().data());
    };
    EXPECT_EXIT(run(), testing::ExitedWithCode(1), "^assay: [^\n]*second.gguf: cannot be read[^\n]*\n$");
}

TEST(LostFileDeathTest, OtherBusErrorsKillAsUsual) {
    const auto run = [] {
        catch_lost_pages();
        std::raise(SIGBUS);
        std::raise(SIGBUS);
    };
    EXPECT_EXIT(run(), testing::KilledBySignal(SIGBUS), "^$");
}

}  // namespace
}  // namespace assay::cli
