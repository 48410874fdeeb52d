// `assay [calibrate]`: the options of llama-imatrix, and what they lead to.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "calibrate/model_file.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/run_observer.h"
#include "cluster/launch.h"
#include "core/error.h"
#include "core/file.h"
#include "gguf/file.h"
#include "recipe/policy.h"
#include "report/json.h"
#include "report/lines.h"

namespace assay::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string result_json(const Arguments& arguments, const calibrate::Result& result) {
    Json out;
    out["model"] = arguments.options.model.string();
    out["text"] = arguments.options.dataset;
    out["output"] = arguments.options.output.string();
    out["chunks"] = result.chunks_done;
    if (!result.skipped.empty()) out["skipped_chunks"] = result.skipped;
    out["tokens"] = result.tokens;
    out["seconds"] = result.seconds;
    out["perplexity"] = result.perplexity ? Json(*result.perplexity) : Json();
    out["perplexity_error"] = result.perplexity ? Json(result.perplexity_error) : Json();
    for (const calibrate::RoleResult& role : result.roles)
        out["roles"].push_back({{"role", to_string(role.role)},
                                {"tokens", role.tokens},
                                {"perplexity", role.estimate ? Json(role.estimate->perplexity) : Json()},
                                {"perplexity_error", role.estimate ? Json(role.estimate->error) : Json()}});
    for (const calibrate::NextNResult& block : result.nextn)
        out["nextn"].push_back({{"block", block.block},
                                {"tokens_ahead", block.tokens},
                                {"perplexity", block.estimate ? Json(block.estimate->perplexity) : Json()},
                                {"perplexity_error", block.estimate ? Json(block.estimate->error) : Json()}});
    if (arguments.options.similarity)
        out["similarity"] = Json::parse(report::similarity_json(result.similarity));
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// The estimate, then the lists of -lsim: the order in which the peers print them.
std::string result_text(const Arguments& arguments, const calibrate::Result& result) {
    std::string out;
    if (arguments.options.perplexity) {
        std::optional<perplexity::Estimate> estimate;
        if (result.perplexity) estimate = perplexity::Estimate{*result.perplexity, result.perplexity_error};
        out += report::estimate_text(estimate);
        for (const calibrate::RoleResult& role : result.roles)
            if (role.role == documents::Role::Assistant)
                out += report::role_text(to_string(role.role), role.estimate);
        for (const calibrate::NextNResult& block : result.nextn)
            out += report::nextn_text(block.block, block.tokens, block.estimate);
    }
    if (arguments.options.similarity) out += report::similarity_text(result.similarity);
    return out;
}

void print_result(const Arguments& arguments, const calibrate::Result& result) {
    if (arguments.numbers == NumbersAs::Json) print(result_json(arguments, result));
    if (arguments.numbers == NumbersAs::Text) print(result_text(arguments, result));
}

void tell_stopped(const calibrate::Result& result, const calibrate::Options& options, RunObserver& observer) {
    std::string text =
        fmt::format("assay: stopped as asked after {} of {} chunks; ", result.chunks_done, result.n_chunks);
    if (result.resumable)
        text += fmt::format("the same command with --resume goes on (its state is in {})",
                            options.checkpoint_folder.string());
    else if (result.chunks_done > 0)
        text += fmt::format("go on with --in-file {} --chunk {}", options.output.string(), result.next_chunk);
    else
        text += "nothing is written";
    observer.tell(Verbosity::Errors, text);
}

/// Whether the disk, the weights' preparation or the collector bounds a run.
std::string times_text(const calibrate::PassSeconds& passes) {
    std::string text = fmt::format("passes {:.1f} s, waiting for weights {:.1f} s, for sums {:.1f} s",
                                   passes.total, passes.waiting_for_weights, passes.waiting_for_sums);
    if (passes.reading > 0)
        text += fmt::format(", disk busy {:.0f} % of the time", 100 * passes.reading / passes.total);
    return text;
}

/// What streams have read from disk, by machine where there are several ranks.
std::string reading_text(const std::map<std::string, std::uint64_t>& read_bytes) {
    std::vector<std::string> texts;
    for (const auto& [host, bytes] : read_bytes)
        texts.push_back(fmt::format("{}{} ({} bytes)", host.empty() ? "" : "on " + host + " ",
                                    size_text(static_cast<double>(bytes)), bytes));
    return fmt::format("read from disk: {}", fmt::join(texts, ", "));
}

/// What keeping the state has cost.
std::string checkpoints_text(const calibrate::Result& result) {
    return fmt::format("state kept {} times, {:.1f} s in all ({:.2f} % of the time), {} the last one",
                       result.checkpoints.n_written, result.checkpoints.seconds,
                       100 * result.checkpoints.seconds / result.seconds,
                       size_text(static_cast<double>(result.checkpoints.bytes)));
}

/// Beside the output, unless that is a device or a pipe.
void choose_checkpoint_folder(const Arguments& arguments, calibrate::Options& options) {
    if (!arguments.checkpoint) {
        if (options.resume)
            throw Error(ErrorKind::Usage, "--resume", "needs the state that --no-checkpoint does without");
        options.checkpoint_folder.clear();
        return;
    }
    options.checkpoint_folder_given = !options.checkpoint_folder.empty();
    std::error_code failure;
    const bool is_file = std::filesystem::is_regular_file(options.output, failure) ||
                         !std::filesystem::exists(options.output, failure);
    if (!options.checkpoint_folder_given && is_file)
        options.checkpoint_folder = options.output.string() + ".checkpoint";
    if (options.resume && options.checkpoint_folder.empty())
        throw_error(ErrorKind::Usage, "--resume",
                    "{} is no file that a state could be beside; --checkpoint DIR decides "
                    "where it is",
                    options.output.string());
}

/// Fails now rather than after the run, and before anything that is still needed would be replaced.
void check_outputs(const Arguments& arguments) {
    const calibrate::Options& options = arguments.options;
    std::vector<std::filesystem::path> kept{options.model};
    if (!options.draft.empty()) kept.push_back(options.draft);
    if (arguments.text_from != TextFrom::Prompt) kept.emplace_back(arguments.text_source);
    check_writable(options.output, kept);
    if (arguments.report.empty()) return;
    kept.push_back(options.output);
    kept.insert(kept.end(), options.in_files.begin(), options.in_files.end());
    check_writable(arguments.report, kept);
}

/// What ranks beside 0 tell: only what is the matter with them, since rank 0 does the rest.
class SilentObserver final : public calibrate::Observer {
  public:
    explicit SilentObserver(Verbosity verbosity) : verbosity_(verbosity) {}
    void on_note(const std::string& sentence) override {
        if (verbosity_ >= Verbosity::Warnings) say("warning: " + sentence);
    }
    void on_loading(const std::filesystem::path&) override {}
    void on_tokenizing() override {}
    void on_tokenized(double) override {}
    void on_plan(const calibrate::Plan&) override {}
    void on_progress(const calibrate::Progress&) override {}
    void on_perplexity(std::int64_t, double) override {}
    void on_coverage(const stats::Coverage&, std::int64_t) override {}
    void on_inventory(const calibrate::Inventory&) override {}
    void on_saved(const std::filesystem::path&, imatrix::Format, std::int64_t) override {}
    void on_state(const std::string&) override {}
    bool stop_requested() const override { return interrupted(); }

  private:
    const Verbosity verbosity_;
};

int collect_here(Arguments arguments, cluster::Communicator* communicator) {
    const calibrate::Options& options = arguments.options;
    check_outputs(arguments);
    choose_checkpoint_folder(arguments, arguments.options);
    arguments.options.text = read_text(arguments);
    RunObserver observer(arguments);
    catch_interrupts();
    if (communicator != nullptr && communicator->size() > 1)
        observer.tell(Verbosity::Info, fmt::format("ranks    {}", communicator->size()));
    calibrate::Result result = calibrate::run(options, observer, communicator);
    if (result.complete) return 0;
    observer.end_chunks();
    if (result.stopped) {
        tell_stopped(result, options, observer);
        return stopped_code();
    }
    if (!arguments.report.empty()) {
        const LabelledMatrix labelled{options.output.string(), std::move(result.matrix)};
        const gguf::File model = calibrate::open_model(options.model, {}, options.draft);
        write_report(arguments.report, {&labelled, 1}, {recipe::weights_wanting_data(model), {}});
        observer.tell(Verbosity::Errors, "wrote " + arguments.report.string());
    }
    print_result(arguments, result);
    const std::int64_t tokens = result.tokens - result.chunks_resumed * options.n_ctx;
    const double speed = result.seconds > 0 ? static_cast<double>(tokens) / result.seconds : 0;
    observer.tell(Verbosity::Info,
                  fmt::format("{} tokens in {}, {:.0f} tokens/s", tokens, time_text(result.seconds), speed));
    observer.tell(Verbosity::Trace, times_text(result.passes));
    if (!result.read_bytes.empty()) observer.tell(Verbosity::Trace, reading_text(result.read_bytes));
    if (result.checkpoints.n_written > 0) observer.tell(Verbosity::Info, checkpoints_text(result));
    observer.tell(Verbosity::Errors, written_text(options.output, observer.format(), result.chunks_done,
                                                  options.format.has_value()));
    return 0;
}

/// What one rank cannot get over ends all of them; it is told once.
int collect(const Arguments& arguments) {
    const std::unique_ptr<cluster::Communicator> communicator = cluster::join_cluster();
    if (!communicator) return collect_here(arguments, nullptr);
    catch_interrupts();
    if (communicator->rank() <= 1)
        communicator->on_lost([](const std::string& sentence) { say("assay: " + sentence); });
    try {
        if (communicator->rank() == 0) return collect_here(arguments, communicator.get());
        SilentObserver observer(arguments.verbosity);
        calibrate::run(arguments.options, observer, communicator.get());
        return 0;
    } catch (const std::exception& error) {
        if (communicator->rank() > 0) return 1;  // rank 0 has been told
        say(std::string("assay: ") + error.what());
        communicator->abort(1);
    }
}

}  // namespace

void warn(std::span<const std::string> sentences) {
    for (const std::string& sentence : sentences) say("warning: " + sentence);
}

imatrix::LoadOptions load_options(const Arguments& arguments) {
    imatrix::LoadOptions load;
    if (arguments.ctx_size_given) load.chunk_size = static_cast<std::uint32_t>(arguments.options.n_ctx);
    return load;
}

std::string written_text(const std::filesystem::path& path, imatrix::Format format, std::int64_t chunks,
                         bool format_given) {
    const bool legacy = format == imatrix::Format::Legacy;
    std::string text = fmt::format("wrote {} in the {} format, {} chunks", path.string(),
                                   legacy ? "legacy" : "GGUF", chunks);
    if (legacy && !format_given)
        text += " (the name does not end in .gguf; --output-format gguf decides otherwise)";
    return text;
}

int calibrate_command(const Arguments& arguments) {
    switch (choose_mode(arguments)) {
        case Mode::Version: print(version_text()); return 0;
        case Mode::Devices: return devices_command(arguments);
        case Mode::Statistics: return show_statistics(arguments);
        case Mode::Merge: return merge_matrices(arguments);
        case Mode::Collect: return collect(arguments);
    }
    return 0;
}

}  // namespace assay::cli
