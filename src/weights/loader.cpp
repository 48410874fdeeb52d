#include "weights/loader.h"

#include <chrono>

#include "core/thread_pool.h"

namespace assay::weights {

Loader::Loader(std::vector<Job> jobs, const LoaderOptions& options,
               std::unique_ptr<gguf::StreamReader> reader)
    : jobs_(std::move(jobs)),
      options_(options),
      all_kept_(options.kept != nullptr && options.kept->size() == jobs_.size()) {
    if (all_kept_) return;
    if (options_.kept != nullptr) options_.kept->clear();
    reader_ = std::move(reader);
    thread_ = start_thread([this] { work(); });
}

Loader::~Loader() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    // What it waits for may never come: where a team ends, others hold the stream up.
    if (reader_) reader_->interrupt();
    thread_.join();
}

void Loader::read_ahead(std::size_t job) const {
    while (job < jobs_.size() && jobs_[job].reuses_reads) ++job;
    if (job >= jobs_.size()) return;
    const gguf::FileRanges& reads = jobs_[job].reads;
    for (const gguf::TensorRange& range : reads.ranges)
        reads.file->shard(range.tensor->shard)
            .will_need(range.tensor->offset_bytes + range.begin_bytes, range.size_bytes);
}

std::shared_ptr<const Unit> Loader::make(std::size_t job) {
    if (!reader_) {
        read_ahead(job + 1);
        return std::make_shared<const Unit>(jobs_[job].make(gguf::TensorBytes(*jobs_[job].reads.file)));
    }
    if (!jobs_[job].reuses_reads) bytes_ = reader_->take();
    auto unit = std::make_shared<const Unit>(jobs_[job].make(*bytes_));
    if (job + 1 == jobs_.size() || !jobs_[job + 1].reuses_reads) bytes_.reset();
    return unit;
}

void Loader::work() {
    try {
        for (std::size_t i = 0; i < jobs_.size(); ++i) {
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return stop_ || ready_.size() < options_.units_ahead; });
                if (stop_) return;
            }
            auto unit = make(i);
            const std::lock_guard lock(mutex_);
            ready_.push_back(std::move(unit));
            changed_.notify_all();
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
    }
}

std::shared_ptr<const Unit> Loader::next_ready() {
    const auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || failure_; });
    waited_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (ready_.empty()) std::rethrow_exception(failure_);
    auto unit = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return unit;
}

std::shared_ptr<const Unit> Loader::take() {
    if (all_kept_) return (*options_.kept)[n_taken_++];
    auto unit = next_ready();
    if (options_.kept != nullptr) options_.kept->push_back(unit);
    return unit;
}

}  // namespace assay::weights
