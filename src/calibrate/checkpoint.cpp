#include "calibrate/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "core/fingerprint.h"
#include "core/new_file.h"

namespace assay::calibrate {

namespace {

namespace fs = std::filesystem;

constexpr double kDefaultSeconds = 120;
/// Of a run's time, for writing states.
constexpr double kShareOfTime = 0.01;

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

bool is_there(const fs::path& path) {
    std::error_code failure;
    return fs::exists(path, failure);
}

}  // namespace

bool is_due(double since, double stood_still, std::optional<double> interval_seconds) {
    return since >= interval_seconds.value_or(std::max(kDefaultSeconds, stood_still / kShareOfTime));
}

Checkpoint::Checkpoint(const Options& options, std::function<Identity()> identity)
    : options_(options), make_identity_(std::move(identity)) {
    if (enabled() && (options_.checkpoint_folder_given || is_there(options_.checkpoint_folder)))
        open_folder();
}

fs::path Checkpoint::state_path(int which) const {
    return options_.checkpoint_folder / fmt::format("state-{}", which);
}

void Checkpoint::open_folder() {
    if (lock_) return;
    const fs::path& folder = options_.checkpoint_folder;
    make_folder(folder);
    lock_.emplace(uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (lock_->get() < 0) throw_errno(folder, "cannot open the folder of the state");
    if (::flock(lock_->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        throw_error(ErrorKind::Io, folder.string(),
                    "another run keeps its state there; --checkpoint DIR "
                    "decides where this one does");
}

const Identity& Checkpoint::identity() {
    if (!identity_) identity_ = make_identity_();
    return *identity_;
}

bool Checkpoint::is_complete(Found& found) {
    try {
        const Record record = read_record(record_path());
        if (difference(record.identity, identity())) return false;
        if (fingerprint_of_file(options_.output) == record.output) return true;
        found.notes.push_back(
            fmt::format("{} is not what the run that ended wrote there", options_.output.string()));
    } catch (const Error& error) {
        found.notes.emplace_back(error.what());
    }
    return false;
}

void Checkpoint::read_states(Found& found) {
    for (const int which : {0, 1}) {
        if (!is_there(state_path(which))) continue;
        try {
            states_[which] = std::make_unique<SavedState>(state_path(which));
            sequence_ = std::max(sequence_, states_[which]->head().sequence);
        } catch (const Error& error) {
            found.notes.push_back(fmt::format("{}; it is not used", error.what()));
        }
    }
}

/// Of the states that can be read the newest of this run. The other file will be written first.
void Checkpoint::choose(Found& found) {
    std::optional<std::string> differs;
    std::int64_t newest = -1;
    bool known = false;
    for (const int which : {0, 1}) {
        if (!states_[which]) continue;
        const StateHead& head = states_[which]->head();
        const auto other = difference(states_[which]->identity(), identity());
        if (known && (other || head.sequence < newest)) continue;
        if (!known && other && head.sequence < newest) continue;
        newest = head.sequence;
        newest_ = which;
        differs = other;
        known = !other;
    }
    if (newest < 0) return;
    const std::string where = options_.checkpoint_folder.string();
    if (differs && options_.resume)
        throw_error(
            ErrorKind::Usage, "--resume",
            "the state in {} is of another run: {}; without --resume it is replaced, --checkpoint DIR "
            "keeps both",
            where, *differs);
    if (differs) {
        found.notes.push_back(
            fmt::format("the state of another run in {} will be replaced ({})", where, *differs));
        return;
    }
    farthest_ = states_[newest_]->head().position;
    if (options_.resume) {
        found.state = std::move(states_[newest_]);
        chunks_before_ = found.state->head().chunks_before;
    } else if (starts_from_output(options_)) {
        throw_error(
            ErrorKind::Usage, where,
            "holds the state of this run, and {} is both where it begins and where it writes: what it "
            "holds may be counted twice; --resume goes on, without that folder it begins anew",
            options_.output.string());
    } else {
        found.notes.push_back(
            fmt::format("{} holds the state of this run {}, and --resume would go on from there; it stays "
                        "until this one has come further",
                        where, standing_text(states_[newest_]->head().position)));
    }
}

Found Checkpoint::look(std::int64_t chunks_before) {
    chunks_before_ = chunks_before;
    Found found;
    if (!enabled() || !is_there(options_.checkpoint_folder)) return found;
    if (options_.resume && is_there(record_path()) && is_complete(found)) {
        found.complete = true;
        remove_states();
        return found;
    }
    read_states(found);
    choose(found);
    for (auto& state : states_) state.reset();
    return found;
}

bool Checkpoint::due() const {
    if (!enabled()) return false;
    const std::lock_guard lock(mutex_);
    if (files_under_way_) return false;
    return is_due(seconds_between(last_, Clock::now()), last_seconds_, options_.checkpoint_seconds);
}

void Checkpoint::begin_files() {
    const std::lock_guard lock(mutex_);
    files_under_way_ = true;
}

void Checkpoint::end_files() {
    const std::lock_guard lock(mutex_);
    files_under_way_ = false;
    files_written_.notify_all();
}

void Checkpoint::write(const Position& position, const CollectorState& sums, const plan::PassPlan& plan,
                       std::span<const engine::WavePart> parts) {
    std::unique_lock lock(mutex_);
    files_written_.wait(lock, [&] { return !files_under_way_; });
    const auto begin = Clock::now();
    end_flush();
    last_ = begin;
    if (farthest_ && !farthest_->is_behind(position)) return;
    open_folder();
    const int which = 1 - newest_;
    auto file = begin_state(state_path(which),
                            {{sequence_ + 1, position, chunks_before_}, identity(), sums, plan, parts});
    cost_.bytes = file->size_bytes();
    // Flushing takes a disk most of the time that a state needs; the run goes on meanwhile.
    flushing_.start([&file = *file] { file.commit(); });
    flush_.emplace(Flush{std::move(file), which, position});
    last_ = Clock::now();
    last_seconds_ = seconds_between(begin, last_);
    cost_.seconds += last_seconds_;
}

void Checkpoint::end_flush() {
    if (!flush_) return;
    const Flush ended = std::move(*std::exchange(flush_, std::nullopt));
    flushing_.wait();
    ++sequence_;
    newest_ = ended.which;
    farthest_ = ended.position;
    ++cost_.n_written;
}

void Checkpoint::settle() {
    const std::lock_guard lock(mutex_);
    end_flush();
}

void Checkpoint::finish(std::int64_t n_chunks) {
    if (!enabled() || (!lock_ && !options_.resume)) return;
    try {
        settle();
    } catch (const Error&) {
        // Nobody needs that state any more.
    }
    std::error_code failure;
    if (fs::is_regular_file(options_.output, failure)) {
        open_folder();
        write_record(record_path(), {identity(), fingerprint_of_file(options_.output), n_chunks});
    }
    remove_states();
}

/// With what a killed process has left beside them.
void Checkpoint::remove_states() {
    for (const int which : {0, 1}) {
        std::error_code failure;
        fs::remove(state_path(which), failure);
        if (lock_) const LockedFile left(state_path(which), "tmp");
    }
}

CheckpointCost Checkpoint::cost() const {
    const std::lock_guard lock(mutex_);
    return cost_;
}

bool Checkpoint::can_resume() const {
    const std::lock_guard lock(mutex_);
    return farthest_.has_value();
}

}  // namespace assay::calibrate
