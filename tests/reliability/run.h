// A small run that saves and keeps its state all the time, under faults, and what it leaves.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/shell.h"
#include "support/fixture.h"

namespace assay {

/// What became of a run that was ended and resumed.
struct Tally {
    int same = 0, cleanup = 0, lost = 0, different = 0;
};

/// What a run is over in place of the fixture's text: files beside its folder, and options that name them.
struct TextFiles {
    std::vector<std::pair<std::string, std::string>> files;  ///< names and contents
    std::string options;
};

/// One model, its uninterrupted result, and a folder to run in.
class FaultRun {
  public:
    explicit FaultRun(const std::string& fixture, TextFiles text = {});

    /// Starts in an empty folder. `before` stands before the program: variables of the environment.
    cli::Outcome start(const std::string& before = {}, const std::string& options = {});
    cli::Outcome resume(const std::string& before = {}, const std::string& options = {});
    /// Variables that load the shim.
    std::string faults(const std::string& settings) const;

    std::filesystem::path folder() const { return folder_ / "run"; }
    std::filesystem::path output() const { return folder() / "out.gguf"; }
    std::filesystem::path durable() const { return folder_ / "durable"; }
    const std::string& reference() const noexcept { return reference_; }
    const std::string& reference_text() const noexcept { return reference_text_; }

    /// The calls of a run, "open PATH" and the like, in order.
    std::vector<std::string> calls(const std::string& options = {});
    /// Every file that is there can be read; otherwise which one.
    std::string damaged() const;
    /// Resumes, twice, and tells into which class the run falls. state_was_kept: so a resumed run must find
    /// it.
    void resume_and_judge(bool state_was_kept, Tally& tally, const std::string& what);
    /// Puts the folder back as a power cut leaves it.
    void cut_power();

    std::string command(const std::string& options) const;
    const std::filesystem::path& text() const noexcept { return fixture_.run().text; }
    const test::TempDir& outside() const noexcept { return folder_; }

  private:
    std::vector<std::string> files() const;

    test::Fixture fixture_;
    const TextFiles text_;
    test::TempDir folder_;
    std::string reference_, reference_copy_, reference_text_;
};

/// Three chunks of conversations, whose template and weights count (needs jinja2), and of pieces of a text.
TextFiles conversations();
TextFiles pieces();
bool has_jinja2();

/// A dense model, experts, a recurrence, latent attention.
std::vector<std::string> run_names();

/// Whether mpirun is there, and the module for MPI.
bool has_mpi();

/// Whether every call is to fail, and not a part of them: ASSAY_ALL_FAULTS is set.
bool all_faults();

}  // namespace assay
