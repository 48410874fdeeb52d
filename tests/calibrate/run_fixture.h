// Running the job on a fixture, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "calibrate/job.h"
#include "core/file.h"
#include "support/fixture.h"

namespace assay::calibrate {

/// Remembers what it was told; asks to stop after `stop_after` chunks when that is not negative.
class Recorder : public Observer {
  public:
    void on_note(const std::string& sentence) override { notes.push_back(sentence); }
    void on_loading(const std::filesystem::path&) override {}
    void on_tokenizing() override {}
    void on_tokenized(double) override {}
    void on_documents(const std::string& sentence) override { documents.push_back(sentence); }
    void on_plan(const Plan& shown) override { plan = shown; }
    void on_progress(const Progress& progress) override { last_progress = progress; }
    void on_perplexity(std::int64_t chunk, double running) override {
        EXPECT_EQ(chunk, static_cast<std::int64_t>(perplexities.size()) + 1);
        perplexities.push_back(running);
    }
    void on_coverage(const stats::Coverage& coverage, std::int64_t chunks) override {
        coverages.emplace_back(chunks, coverage);
    }
    void on_inventory(const Inventory& taken) override { inventory = taken; }
    void on_saved(const std::filesystem::path& path, imatrix::Format, std::int64_t) override {
        saved.push_back(path);
    }
    void on_state(const std::string& sentence) override { states.push_back(sentence); }
    bool stop_requested() const override {
        return stop_after >= 0 && static_cast<std::int64_t>(perplexities.size()) >= stop_after;
    }

    std::vector<std::string> notes;
    std::vector<std::string> states;
    std::vector<std::string> documents;
    std::vector<double> perplexities;
    std::vector<std::pair<std::int64_t, stats::Coverage>> coverages;  ///< with the chunks behind them
    std::vector<std::filesystem::path> saved;
    Plan plan;
    Inventory inventory;
    Progress last_progress;
    std::int64_t stop_after = -1;
};

inline Options options_for(const test::Fixture& fixture) {
    Options options;
    options.model = fixture.model();
    options.text = read_file(fixture.run().text);
    if (options.text.ends_with('\n')) options.text.pop_back();
    options.dataset = "text.txt";
    options.output = fixture.folder().path() / "out.gguf";
    options.n_ctx = fixture.run().n_ctx;
    options.max_chunks = fixture.run().n_chunks;
    options.nextn = fixture.nextn();
    options.process_output = true;
    options.device = "cpu";  // also where there is a GPU
    options.precision = backend::Precision::F32;
    options.n_threads = 2;
    return options;
}

}  // namespace assay::calibrate
