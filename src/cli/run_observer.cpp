#include "cli/run_observer.h"

#include <cstdio>
#include <fmt/format.h>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "core/text.h"
#include "recipe/policy.h"
#include "report/lines.h"

namespace assay::cli {

namespace {

void put_stderr(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

std::string weights_text(const calibrate::Plan& plan) {
    if (!plan.streamed) return "the model in memory";
    return fmt::format("the model streamed from disk: {} in all",
                       size_text(static_cast<double>(plan.read_bytes)));
}

/// How the chunks go over the devices, where the weights are meanwhile, and for how long.
std::string plan_text(const calibrate::Plan& plan) {
    const auto counted = [](std::int64_t count, std::string_view word) {
        return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
    };
    const auto n_devices = std::ssize(plan.backends);
    std::string text =
        fmt::format("{} of {}", counted(plan.n_waves, "wave"), counted(plan.wave_chunks, "chunk"));
    if (n_devices > 1) text += fmt::format(", dealt to {} devices", n_devices);
    text += ", " + weights_text(plan);
    if (plan.weights_kept)
        text += ", weights kept on the device";
    else if (plan.device_bytes > 0)
        text += ", weights brought in each wave";
    return plan.expected_seconds > 0 ? text + ", about " + time_text(plan.expected_seconds) : text;
}

}  // namespace

RunObserver::RunObserver(const Arguments& arguments)
    : numbers_(arguments.numbers),
      verbosity_(arguments.verbosity),
      progress_(ProgressLine::Terminals::detect(), arguments.verbosity >= Verbosity::Info) {}

RunObserver::~RunObserver() { put_stderr(progress_.begin_message()); }

void RunObserver::tell(Verbosity level, const std::string& line) {
    if (level > verbosity_) return;
    put_stderr(progress_.begin_message());
    say(line);
}

void RunObserver::on_note(const std::string& sentence) { tell(Verbosity::Warnings, "warning: " + sentence); }

void RunObserver::on_documents(const std::string& sentence) { tell(Verbosity::Info, sentence); }

void RunObserver::on_loading(const std::filesystem::path& in_file) {
    tell(Verbosity::Info, fmt::format("main : loading imatrix from '{}'", in_file.string()));
}

void RunObserver::on_tokenizing() { tell(Verbosity::Info, "compute_imatrix: tokenizing the input .."); }

void RunObserver::on_tokenized(double milliseconds) {
    tell(Verbosity::Info, fmt::format("compute_imatrix: tokenization took {:g} ms", milliseconds));
}

void RunObserver::on_plan(const calibrate::Plan& plan) {
    n_chunks_ = plan.n_chunks;
    std::string blocks = fmt::format("{} layers", plan.n_layers);
    if (plan.n_nextn > 0)
        blocks += fmt::format(" and {} NextN block{}", plan.n_nextn, plan.n_nextn == 1 ? "" : "s");
    tell(Verbosity::Info, fmt::format("model    {}, {}, {}, {}", plan.model_name, plan.architecture, blocks,
                                      size_text(static_cast<double>(plan.model_bytes))));
    for (const std::string& text : plan.overrides) tell(Verbosity::Info, "override " + text);
    for (const std::string& backend : plan.backends)
        tell(Verbosity::Info, fmt::format("backend  {}", backend));
    std::string memory = fmt::format("{} expected", size_text(static_cast<double>(plan.memory_bytes)));
    if (plan.device_bytes > 0)
        memory += fmt::format(", {} on each device", size_text(static_cast<double>(plan.device_bytes)));
    tell(Verbosity::Info, "memory   " + memory);
    if (plan.n_variants > 0)
        tell(Verbosity::Info,
             fmt::format("plan     {} variants, {} {} of the weights, waves of {} chunks, {}",
                         plan.n_variants, plan.n_sweeps, plan.n_sweeps == 1 ? "reading" : "readings",
                         plan.wave_chunks, weights_text(plan)));
    else
        tell(Verbosity::Info, "plan     " + plan_text(plan));
    if (plan.spilled_bytes > 0)
        tell(Verbosity::Info, fmt::format("spill    {} of hidden states go to disk",
                                          size_text(static_cast<double>(plan.spilled_bytes))));
    if (plan.context_train > 0 && plan.n_ctx > plan.context_train)
        tell(Verbosity::Warnings,
             fmt::format("warning: model was trained on only {} context tokens ({} specified)",
                         plan.context_train, plan.n_ctx));
    tell(Verbosity::Info,
         fmt::format("compute_imatrix: computing over {} chunks, n_ctx={}, batch_size={}, n_seq={}",
                     plan.n_chunks, plan.n_ctx, plan.wave_chunks * plan.n_ctx, plan.wave_chunks));
}

void RunObserver::on_progress(const calibrate::Progress& progress) {
    const bool pass_done = progress.layers_done == progress.n_layers;
    if (pass_done && !pass_told_ && progress.work_done < 1) {
        pass_told_ = true;
        const double total = progress.elapsed_seconds / progress.work_done;
        tell(Verbosity::Info, fmt::format("compute_imatrix: {:.2f} seconds per pass - ETA {:.2f} minutes",
                                          progress.elapsed_seconds, total / 60));
    }
    progress_.resize(ProgressLine::Terminals::detect().columns);
    put_stderr(progress_.update(progress, n_chunks_));
}

void RunObserver::on_perplexity(std::int64_t chunk, double running) {
    if (numbers_ == NumbersAs::Json || lost_output_) return;
    put_stderr(progress_.erase());
    const bool csv = numbers_ == NumbersAs::Csv;
    try {
        print(csv ? fmt::format("{}{},{}\n", chunk == 1 ? "chunk,perplexity\n" : "", chunk, running)
                  : report::chunk_text(static_cast<std::uint64_t>(chunk), running));
    } catch (const Error& error) {
        lost_output_ = error;  // the sums of this wave are not lost with it: the run stops and saves them
    }
    progress_.stdout_left_open(!csv);
}

void RunObserver::on_coverage(const stats::Coverage& coverage, std::int64_t chunks) {
    stats::Coverage known = coverage;
    known.demanding_types = recipe::types_needing_data();
    tell(Verbosity::Info, fmt::format("experts  after {} chunks: {}", chunks, known.experts_line()));
    if (const std::string line = known.demand_line(); !line.empty())
        tell(Verbosity::Info, "experts  " + line);
}

void RunObserver::on_inventory(const calibrate::Inventory& inventory) {
    tell(Verbosity::Info, "tensors  " + inventory.sentence());
    for (const calibrate::TensorData& tensor : inventory.tensors)
        if (!tensor.has_data && tensor.reason.empty())
            tell(Verbosity::Warnings,
                 fmt::format("warning: {} has no data: {}", printable(tensor.name), tensor.lack()));
    if (verbosity_ < Verbosity::Trace) return;
    for (const std::string& line : inventory.lines()) tell(Verbosity::Trace, line);
}

void RunObserver::on_saved(const std::filesystem::path& path, imatrix::Format format, std::int64_t chunks) {
    format_ = format;
    tell(Verbosity::Info,
         fmt::format("save_imatrix: stored collected data after {} chunks in {}", chunks, path.string()));
}

void RunObserver::on_state(const std::string& sentence) { tell(Verbosity::Errors, sentence); }

bool RunObserver::stop_requested() const { return interrupted() || lost_output_; }

void RunObserver::end_progress() { put_stderr(progress_.erase()); }

void RunObserver::end_chunks() {
    end_progress();
    if (lost_output_) throw Error(*lost_output_);
    if (numbers_ == NumbersAs::Text) print("\n");
    progress_.stdout_left_open(false);
}

}  // namespace assay::cli
