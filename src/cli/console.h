// What a calibration shows: running perplexity on stdout in the peers' form, everything else on stderr.
#pragma once

#include <chrono>

#include "calibrate/job.h"

namespace assay::cli {

/// Levels of -lv.
enum Verbosity { kOutputOnly = 0, kErrors = 1, kWarnings = 2, kInformation = 3 };

/// SIGINT and SIGTERM ask the job to stop at whole chunks; a second one ends the program.
void catch_signals();

/// Writes to stdout and flushes. Throws Error{Io} when the other end is gone or the disk is full.
void write_stdout(const std::string& text);
/// A line on stderr.
void write_stderr(const std::string& line);

class Console final : public calibrate::Observer {
  public:
    explicit Console(int verbosity);

    void on_note(const std::string& sentence) override;
    void on_loading(const std::filesystem::path& in_file) override;
    void on_tokenizing() override;
    void on_tokenized(double milliseconds) override;
    void on_plan(const calibrate::Plan& plan) override;
    void on_progress(const calibrate::Progress& progress) override;
    void on_perplexity(std::int64_t chunk, double running) override;
    void on_saved(const std::filesystem::path& path, imatrix::Format format, std::int64_t chunks) override;
    bool stop_requested() const override;

    /// Takes the progress line away.
    void clear();

  private:
    void inform(const std::string& line);

    using Clock = std::chrono::steady_clock;
    int verbosity_;
    bool terminal_;
    bool line_shown_ = false;
    Clock::time_point last_shown_ = Clock::now();
};

}  // namespace assay::cli
