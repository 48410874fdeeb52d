// The line that says how far a run is: redrawn on a terminal that can, now and then a plain line elsewhere.
#pragma once

#include <string>
#include <string_view>

#include "calibrate/job.h"

namespace assay::cli {

/// Text of one progress line. The remaining time follows from the work done since the start, so it stays true
/// when layers differ; it is left out while there is too little to go by.
std::string progress_text(const calibrate::Progress& progress, std::int64_t n_chunks);

/// Owns the last line of stderr. The `[n]...,` texts of stdout may end on the same terminal; a line is begun
/// there before the progress is drawn below them.
class ProgressLine {
  public:
    struct Terminals {
        bool stderr_is_terminal = false;
        bool stdout_is_terminal = false;
        int columns = 80;  ///< of stderr; 0 where a line cannot be redrawn
        static Terminals detect();
    };
    ProgressLine(Terminals terminals, bool enabled) : terminals_(terminals), enabled_(enabled) {}

    /// A line longer than the terminal is wide would leave its beginning behind at each redrawing.
    void resize(int columns) noexcept { terminals_.columns = columns; }
    /// What to write to stderr for this progress; mostly nothing.
    std::string update(const calibrate::Progress& progress, std::int64_t n_chunks);
    /// What to write to stderr before text goes to stdout.
    std::string erase();
    /// What to write to stderr before a message goes there.
    std::string begin_message();
    /// Text without a line feed went to stdout.
    void stdout_left_open(bool open) noexcept { stdout_open_ = open && terminals_.stdout_is_terminal; }

  private:
    Terminals terminals_;
    bool enabled_;
    bool drawn_ = false;
    bool stdout_open_ = false;
    double last_seconds_ = 0;
};

}  // namespace assay::cli
