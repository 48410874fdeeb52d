// Writes the matrix, and the state of the run, on a thread of its own, while the next wave computes.
#pragma once

#include <atomic>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "core/error.h"
#include "imatrix/file.h"

namespace assay::calibrate {

/// All calls come from one thread.
class Saver {
  public:
    struct File {
        std::filesystem::path path;
        std::optional<Error> failure;  ///< Error{Io}: what the system refused
    };
    struct Outcome {
        imatrix::Notes notes;
        std::vector<File> files;
        std::optional<Error> state_failure;  ///< what after() threw
    };

    Saver() = default;
    /// What was begun is written first.
    ~Saver();
    Saver(const Saver&) = delete;
    Saver& operator=(const Saver&) = delete;

    /// Begins to write the matrix to each of the paths, as imatrix::save(), and then, whatever became of
    /// them, calls after(). Nobody changes the matrix until finish(), and nothing else is under way.
    void start(const imatrix::Matrix& matrix, imatrix::Format format,
               std::vector<std::filesystem::path> paths, std::function<void()> after = {});
    /// Between start() and finish().
    bool under_way() const noexcept { return under_way_; }
    /// Whether finish() need not wait.
    bool done() const noexcept { return under_way_ && done_; }
    /// Waits until everything is written. Throws what imatrix::content() throws.
    Outcome finish();

  private:
    void write(const imatrix::Matrix& matrix, imatrix::Format format, const std::function<void()>& after);
    void write_files(const imatrix::Matrix& matrix, imatrix::Format format);

    Outcome outcome_;
    std::exception_ptr failure_;
    std::atomic<bool> done_ = false;
    bool under_way_ = false;
    std::thread thread_;
};

}  // namespace assay::calibrate
