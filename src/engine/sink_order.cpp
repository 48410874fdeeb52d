#include "engine/sink_order.h"

#include "core/error.h"

namespace assay::engine {

class SinkOrder::Part final : public ActivationSink {
  public:
    Part(SinkOrder& order, std::size_t index) : order_(order), index_(index) {}

    void on_input(const InputSums& sums) override {
        order_.take(order_.inputs_, {sums.weights.front(), sums.first_matrix}, index_,
                    {sums.chunk, sums.n_chunks}, [&] { order_.sink_.on_input(sums); });
    }
    void on_similarity(const SimilaritySums& sums) override {
        order_.take(order_.similarities_, {sums.kind, sums.layer}, index_, {sums.chunk, 1},
                    [&] { order_.sink_.on_similarity(sums); });
    }
    void on_losses(const ChunkLosses& losses) override {
        order_.take(order_.losses_, 0, index_, {losses.chunk, 1}, [&] { order_.sink_.on_losses(losses); });
    }

  private:
    SinkOrder& order_;
    std::size_t index_;
};

SinkOrder::SinkOrder(ActivationSink& sink, const std::vector<ChunkRange>& parts)
    : sink_(sink), ranges_(parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
        n_chunks_ += parts[i].count;
        parts_.push_back(std::make_unique<Part>(*this, i));
    }
}

SinkOrder::~SinkOrder() = default;

ActivationSink& SinkOrder::part(std::size_t index) { return *parts_.at(index); }

void SinkOrder::cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
}

template <typename Key, typename Call>
void SinkOrder::take(std::map<Key, Line>& lines, const Key& key, std::size_t part, ChunkRange chunks,
                     Call call) {
    std::unique_lock lock(mutex_);
    Line& line = lines[key];  // a map's values stay where they are
    line.seen.resize(ranges_.size());
    // A weight that several layers share comes round once for each: all chunks, then all chunks again.
    const std::int64_t round = line.seen[part] / ranges_[part].count;
    line.seen[part] += chunks.count;
    const std::int64_t place = round * n_chunks_ + chunks.first - ranges_.front().first;
    changed_.wait(lock, [&] { return cancelled_ || place == line.next; });
    if (cancelled_) throw Error(ErrorKind::Internal, "", "another part of the wave has failed");
    call();
    line.next += chunks.count;
    changed_.notify_all();
}

}  // namespace assay::engine
