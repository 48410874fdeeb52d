#include "engine/turns.h"

#include "core/error.h"

namespace assay::engine {

void Turns::wait(const Turn& turn) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return cancelled_ || next(turn.key) == turn.chunks.first; });
    if (cancelled_) throw Error(ErrorKind::Internal, "", "another part of the wave has failed");
}

void Turns::done(const Turn& turn) {
    const std::lock_guard lock(mutex_);
    next(turn.key) += turn.chunks.count;
    changed_.notify_all();
}

void Turns::cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
}

}  // namespace assay::engine
