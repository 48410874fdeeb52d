#include "calibrate/saves.h"

#include <algorithm>
#include <fmt/format.h>

#include "calibrate/extra.h"
#include "calibrate/identity.h"

namespace assay::calibrate {

Saves::Saves(const Options& options, Observer& observer, imatrix::Format format, const plan::PassPlan& plan,
             const Chunks& chunks, Collector& collector, Checkpoint& checkpoint)
    : options_(options),
      observer_(observer),
      format_(format),
      plan_(plan),
      chunks_(chunks),
      collector_(collector),
      checkpoint_(checkpoint),
      protects_start_(checkpoint.enabled() && starts_from_output(options)) {}

void Saves::after_wave(const WaveEnd& end, bool is_last) {
    std::vector<std::filesystem::path> paths;
    if (end.save && !is_last && !protects_start_) paths.push_back(options_.output);
    if (end.snapshot)
        paths.emplace_back(
            fmt::format("{}.at_{}", options_.output.string(), checkpoint_.chunks_before() + end.chunks_done));
    if (!paths.empty() || (checkpoint_.due() && !is_last)) save(std::move(paths), end.chunks_done);
}

void Saves::save(std::vector<std::filesystem::path> paths, std::int64_t chunks_done) {
    finish();
    Collected& collected = collector_.committed();
    // In chunks of this run, and never fewer than were loaded: how llama-imatrix counts them. Chunks that are
    // not of one length count one by one.
    const auto by_rows = collected.matrix.n_chunks(static_cast<std::uint64_t>(options_.n_ctx));
    const auto one_by_one = static_cast<std::uint32_t>(checkpoint_.chunks_before() + chunks_done);
    collected.matrix.chunk_count =
        std::max(collected.matrix.chunk_count, chunks_.are_plain() ? by_rows : one_by_one);
    store_model(plan_.program(), collected.matrix.extra);
    if (chunks_.documents)
        store_documents(*chunks_.documents, options_.documents.weights, collected.matrix.extra);
    if (std::ranges::any_of(collected.chunk_losses, [](const auto& sums) { return sums.count > 0; }))
        store_losses(collected, collected.matrix.extra);
    store_similarity(collected.similarity, collected.matrix.extra, format_ == imatrix::Format::GgufExact);
    store_skipped(collected.skipped, collected.matrix.extra);
    if (part_) {
        const std::int64_t next = next_chunk(options_.skip_chunks, chunks_done, collected.skipped);
        part_->chunks = {};
        part_->chunks.add({options_.skip_chunks, next - options_.skip_chunks});
        store_part(*part_, collected.matrix.extra);
    }
    chunks_saved_ = chunks_done;
    try {
        checkpoint_.settle();
    } catch (const Error& error) {
        tell_state_failure(error);
    }
    const bool due = checkpoint_.due();
    checkpoint_.begin_files();
    saver_.start(collected.matrix, format_, std::move(paths), [this, due, chunks_done] {
        checkpoint_.end_files();
        if (due) checkpoint_.write({chunks_done, 0, 0}, collector_.state(), plan_);
    });
}

void Saves::tell_when_done() {
    if (saver_.done()) finish();
}

void Saves::tell_state_failure(const Error& failure) {
    observer_.on_note(fmt::format("{}; the state before stays, and the run goes on", failure.what()));
}

void Saves::finish(bool last) {
    if (!saver_.under_way()) return;
    const Saver::Outcome outcome = saver_.finish();
    for (const std::string& note : outcome.notes) observer_.on_note(note);
    for (const Saver::File& file : outcome.files) {
        if (!file.failure)
            observer_.on_saved(file.path, format_, chunks_saved_);
        else if (last)
            throw Error(*file.failure);
        else
            observer_.on_note(fmt::format("{}; the run goes on without this file", file.failure->what()));
    }
    if (outcome.state_failure) tell_state_failure(*outcome.state_failure);
}

void Saves::keep_state(std::int64_t chunks_done) {
    if (!checkpoint_.enabled()) return;
    try {
        if (chunks_done > 0) checkpoint_.write({chunks_done, 0, filled_ ? 1 : 0}, collector_.state(), plan_);
        checkpoint_.settle();
    } catch (const Error& error) {
        tell_state_failure(error);
    }
}

void Saves::at_end(std::int64_t chunks_done) {
    // Should the last moment be lost, what the run began with is still known.
    if (protects_start_) keep_state(chunks_done);
    save({options_.output}, chunks_done);
    finish(true);
}

void Saves::at_stop(std::int64_t chunks_done) {
    finish();
    keep_state(chunks_done);
    if (chunks_done > 0 && !protects_start_) save({options_.output}, chunks_done);
    finish(true);
}

void Saves::at_failure(std::int64_t chunks_done) {
    finish();
    keep_state(chunks_done);
    if (checkpoint_.can_resume())
        observer_.on_state(
            fmt::format("the state in {} stays: the same command with --resume goes on from it",
                        options_.checkpoint_folder.string()));
}

}  // namespace assay::calibrate
