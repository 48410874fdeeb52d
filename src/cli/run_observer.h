// What a run prints while it runs: the lines on stdout that scripts read, progress and messages on stderr.
#pragma once

#include <optional>

#include "calibrate/job.h"
#include "cli/arguments.h"
#include "cli/progress.h"
#include "core/error.h"

namespace assay::cli {

class RunObserver : public calibrate::Observer {
  public:
    explicit RunObserver(const Arguments& arguments);
    /// Leaves an own line to what follows, also when an error ends the run.
    ~RunObserver() override;

    void on_note(const std::string& sentence) override;
    void on_loading(const std::filesystem::path& in_file) override;
    void on_tokenizing() override;
    void on_tokenized(double milliseconds) override;
    void on_documents(const std::string& sentence) override;
    void on_plan(const calibrate::Plan& plan) override;
    void on_progress(const calibrate::Progress& progress) override;
    void on_perplexity(std::int64_t chunk, double running) override;
    void on_coverage(const stats::Coverage& coverage, std::int64_t chunks) override;
    void on_inventory(const calibrate::Inventory& inventory) override;
    void on_saved(const std::filesystem::path& path, imatrix::Format format, std::int64_t chunks) override;
    void on_state(const std::string& sentence) override;
    bool stop_requested() const override;

    /// A message on stderr if the user wants to hear that much.
    void tell(Verbosity level, const std::string& line);
    /// Takes the progress off the terminal.
    void end_progress();
    /// Ends the line of chunks, where there is one. Throws Error{Io} where standard output was lost
    /// meanwhile.
    void end_chunks();
    /// Of the last save.
    imatrix::Format format() const noexcept { return format_; }

  private:
    NumbersAs numbers_;
    Verbosity verbosity_;
    ProgressLine progress_;
    std::int64_t n_chunks_ = 0;
    bool pass_told_ = false;
    std::optional<Error> lost_output_;
    imatrix::Format format_ = imatrix::Format::Gguf;
};

}  // namespace assay::cli
