// Writes the matrix, and the state of the run, on a thread of its own, while the next wave computes.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "core/background.h"
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

    /// Begins to write the matrix to each of the paths, as imatrix::save(), and then, whatever became of
    /// them, calls after(). Nobody changes the matrix until finish(), and nothing else is under way.
    void start(const imatrix::Matrix& matrix, imatrix::Format format,
               std::vector<std::filesystem::path> paths, std::function<void()> after = {});
    /// Between start() and finish().
    bool under_way() const noexcept { return writing_.under_way(); }
    /// Whether finish() need not wait.
    bool done() const noexcept { return writing_.done(); }
    /// Waits until everything is written. Throws what imatrix::content() throws.
    Outcome finish();

  private:
    void write(const imatrix::Matrix& matrix, imatrix::Format format, const std::function<void()>& after);
    void write_files(const imatrix::Matrix& matrix, imatrix::Format format);

    Outcome outcome_;
    Background writing_;  ///< last: what was begun is written before the rest goes
};

}  // namespace assay::calibrate
