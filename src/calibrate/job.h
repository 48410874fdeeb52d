// The job: from a model and a text to a saved matrix. Knows files and schedules, prints nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/open.h"
#include "calibrate/chunks.h"
#include "calibrate/inventory.h"
#include "calibrate/missing_experts.h"
#include "cluster/communicator.h"
#include "documents/corpus.h"
#include "gguf/metadata.h"
#include "imatrix/file.h"
#include "perplexity/perplexity.h"
#include "similarity/similarity.h"
#include "stats/coverage.h"

namespace assay::calibrate {

/// What a chunk does whose values are not all finite.
enum class OnNan {
    Stop,       ///< the run ends with an error
    SkipChunk,  ///< it is left out of everything, as if the text did not have it
};

/// What to do. Defaults are llama-imatrix's.
struct Options {
    std::filesystem::path model;
    gguf::Overrides metadata;      ///< in place of the model's
    bool nextn = false;            ///< the blocks that predict ahead are calibrated too
    std::filesystem::path draft;   ///< these are in a file of their own; implies `nextn`
    std::string text;              ///< the calibration text itself, one trailing newline already dropped
    std::string dataset;           ///< name stored in the matrix; empty: none
    documents::Options documents;  ///< where the text holds documents
    std::filesystem::path output = "imatrix.gguf";
    std::optional<imatrix::Format> format;  ///< absent: by suffix
    imatrix::Form form = imatrix::Form::Of2026;
    std::vector<std::filesystem::path> in_files;

    std::int64_t n_ctx = 512;
    std::int64_t skip_chunks = 0;
    std::int64_t max_chunks = -1;  ///< < 0: all
    bool parse_special = false;
    bool process_output = false;
    std::string output_tensor_name = "output.weight";
    bool perplexity = true;
    bool similarity = false;
    bool check_tensors = false;                             ///< look at every weight before the run
    MissingExperts missing_experts = MissingExperts::Zero;  ///< at the end of the run
    bool complete = false;                                  ///< also what complete.h names
    OnNan on_nan = OnNan::Stop;

    std::int64_t save_every = 10;     ///< chunks; 0: only at the end
    bool save_every_given = false;    ///< asked for, so waves must end there
    std::int64_t snapshot_every = 0;  ///< chunks; 0: never

    /// Folder where the state of the run is kept now and then; empty: nowhere.
    std::filesystem::path checkpoint_folder;
    bool checkpoint_folder_given = false;      ///< asked for by name
    std::optional<double> checkpoint_seconds;  ///< between two states; absent: as much as costs little
    bool resume = false;                       ///< go on from the state in that folder

    std::string device = "auto";  ///< as backend::list_devices() takes it; chunks are dealt to all
    std::optional<std::int64_t> main_device;  ///< of these only the one with this number
    backend::Precision precision = backend::Precision::Auto;
    std::optional<Isa> isa;
    int n_threads = 0;               ///< 0: a thread for each core of this process
    std::int64_t wave_chunks = 0;    ///< 0: by memory
    std::uint64_t memory_bytes = 0;  ///< bound on the whole process; 0: by what is free
    /// Where the states of a wave go so that one wave is enough; empty: they stay in memory.
    std::filesystem::path spill_folder;
    std::uint64_t device_memory_bytes = 0;  ///< bound on each device's own memory; 0: by what is free
    /// In place of those of `text`; empty: none.
    std::function<Chunks(const gguf::File& model)> make_chunks;
    /// Tests put others in its place.
    std::function<std::unique_ptr<backend::Backend>(const backend::OpenOptions&, ThreadPool&)> open_backend =
        backend::open;
};

struct Plan {
    std::string model_name;  ///< general.name or the file's name
    std::string architecture;
    std::vector<std::string> overrides;  ///< of metadata, that took hold: "KEY = VALUE (the file: VALUE)"
    std::vector<std::string> backends;   ///< one per device
    std::int64_t n_layers = 0;
    std::int64_t n_nextn = 0;   ///< blocks behind them that predict ahead
    std::int64_t n_tokens = 0;  ///< of the text
    std::int64_t n_chunks = 0;
    std::int64_t n_ctx = 0;
    std::int64_t wave_chunks = 0;  ///< of all devices together
    std::int64_t n_waves = 0;
    std::uint64_t model_bytes = 0;
    std::uint64_t memory_bytes = 0;   ///< expected peak of the host
    std::uint64_t device_bytes = 0;   ///< expected peak of a device's own memory; 0: it has none
    bool streamed = false;            ///< the model does not fit: each wave reads it from disk
    bool weights_kept = false;        ///< prepared weights stay on the devices from wave to wave
    std::uint64_t spilled_bytes = 0;  ///< of states, on disk
    std::uint64_t read_bytes = 0;     ///< weights read over the whole run
    double expected_seconds = 0;      ///< a guess from rates tried out just before; 0: none
    std::int64_t context_train = 0;
    std::int64_t n_variants = 0;  ///< of the model, in a sensitivity run
    std::int64_t n_sweeps = 0;    ///< of such a run over the weights
};

struct Progress {
    std::int64_t chunks_done = 0;
    std::int64_t chunks_in_wave = 0;
    std::int64_t layers_done = 0;  ///< of the wave's layers, the output projection counting as one
    std::int64_t n_layers = 0;
    double work_done = 0;  ///< 0 to 1, of the whole run
    double elapsed_seconds = 0;
    double tokens_per_second = 0;
};

/// What happens while the job runs. All called from the thread that called run().
class Observer {
  public:
    virtual ~Observer() = default;
    virtual void on_note(const std::string& sentence) = 0;  ///< something the user should know
    virtual void on_loading(const std::filesystem::path& in_file) = 0;
    virtual void on_tokenizing() = 0;
    virtual void on_tokenized(double milliseconds) = 0;
    /// Of a text that holds documents: what was recognised, and what became of them.
    virtual void on_documents([[maybe_unused]] const std::string& sentence) {}
    virtual void on_plan(const Plan& plan) = 0;
    virtual void on_progress(const Progress& progress) = 0;
    virtual void on_perplexity(std::int64_t chunk, double running) = 0;  ///< chunk from 1
    /// After the first wave and at the end, of a model with experts.
    virtual void on_coverage(const stats::Coverage& coverage, std::int64_t chunks) = 0;
    /// At the end.
    virtual void on_inventory(const Inventory& inventory) = 0;
    virtual void on_saved(const std::filesystem::path& path, imatrix::Format format, std::int64_t chunks) = 0;
    /// What became of the run's state: where it goes on, or that there is none.
    virtual void on_state(const std::string& sentence) = 0;
    /// True when the user asked to stop: the job keeps its state, saves what whole waves have given and
    /// returns.
    virtual bool stop_requested() const = 0;
};

/// Where the time of the passes went, in seconds; of several devices, on the first.
struct PassSeconds {
    double total = 0;
    double reading = 0;  ///< the disk was busy, where weights are streamed
    double waiting_for_weights = 0;
    double waiting_for_sums = 0;  ///< until the collector has taken those of earlier chunks
};

/// Of the states that a run has written.
struct CheckpointCost {
    std::int64_t n_written = 0;
    double seconds = 0;       ///< that writing took, in all
    std::uint64_t bytes = 0;  ///< of the last one
};

/// How well a block that predicts ahead does, on the tokens that the model is scored by.
struct NextNResult {
    std::int64_t block = 0;
    std::int64_t tokens = 0;  ///< it predicts the token so many after the last one that the model has seen
    std::optional<perplexity::Estimate> estimate;  ///< absent: its variance is not positive
};

/// How well the model does on the tokens that a role says.
struct RoleResult {
    documents::Role role{};
    std::uint64_t tokens = 0;
    std::optional<perplexity::Estimate> estimate;  ///< absent: its variance is not positive
};

struct Result {
    std::int64_t chunks_done = 0;
    std::int64_t chunks_resumed = 0;  ///< of these, by the run that this one went on from
    std::int64_t n_chunks = 0;
    std::int64_t tokens = 0;
    std::vector<std::int64_t> skipped;  ///< chunks left out, by their numbers in the text, from 1
    std::int64_t next_chunk = 0;        ///< of the text, from 0: what a later run would begin with
    bool complete = false;              ///< the run had ended before: nothing was done
    bool stopped = false;               ///< before the last chunk, on request
    bool resumable = false;             ///< its state is there to go on from
    std::optional<double> perplexity;   ///< absent when not asked for, or its variance is not positive
    double perplexity_error = 0;
    bool negative_variance = false;
    std::vector<RoleResult> roles;   ///< those that the text has; empty where nobody knows
    std::vector<NextNResult> nextn;  ///< empty where no perplexity was asked for
    double seconds = 0;
    PassSeconds passes;
    /// That streams have read, by the machines of a run of several ranks; of one process under no name.
    std::map<std::string, std::uint64_t> read_bytes;
    CheckpointCost checkpoints;
    imatrix::Matrix matrix;
    similarity::Similarity similarity;  ///< empty unless asked for
};

/// Runs the whole job. Throws Error; whatever was saved before stays valid. With `communicator` all of its
/// ranks call this with the same options: the result is what one process would give, on rank 0. The others
/// need no text, write nothing and return an empty result; what ends one of them is thrown on rank 0 as well,
/// under its name, and then the caller ends all.
Result run(const Options& options, Observer& observer, cluster::Communicator* communicator = nullptr);

}  // namespace assay::calibrate
