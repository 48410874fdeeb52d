#include "engine/loader.h"

#include <chrono>

namespace assay::engine {

Loader::Loader(const gguf::File& file, std::vector<Job> jobs, std::uint64_t ahead_bytes)
    : file_(file), jobs_(std::move(jobs)), ahead_bytes_(ahead_bytes), thread_([this] { work(); }) {}

Loader::~Loader() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Loader::read_ahead(std::size_t job) const {
    if (job >= jobs_.size()) return;
    for (const gguf::Tensor* tensor : jobs_[job].tensors)
        file_.shard(tensor->shard).will_need(tensor->offset_bytes, tensor->size_bytes);
}

void Loader::work() {
    try {
        for (std::size_t i = 0; i < jobs_.size(); ++i) {
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] {
                    return stop_ || ready_.empty() || ready_bytes_ + jobs_[i].prepared_bytes <= ahead_bytes_;
                });
                if (stop_) return;
            }
            read_ahead(i + 1);
            Unit unit = jobs_[i].make();
            const std::lock_guard lock(mutex_);
            ready_.push_back(std::move(unit));
            ready_sizes_.push_back(jobs_[i].prepared_bytes);
            ready_bytes_ += jobs_[i].prepared_bytes;
            changed_.notify_all();
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
    }
}

Unit Loader::take() {
    const auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || failure_; });
    waited_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (ready_.empty()) std::rethrow_exception(failure_);
    Unit unit = std::move(ready_.front());
    ready_.pop_front();
    ready_bytes_ -= ready_sizes_.front();
    ready_sizes_.pop_front();
    changed_.notify_all();
    return unit;
}

}  // namespace assay::engine
