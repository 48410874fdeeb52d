#include "engine/sink_order.h"

#include "core/error.h"

namespace assay::engine {

namespace {

template <typename T> std::vector<T> copy(std::span<const T> values) {
    return {values.begin(), values.end()};
}

/// An input's sums with memory of their own.
struct HeldInput {
    explicit HeldInput(const InputSums& from)
        : sums(from),
          weights(copy(from.weights)),
          squares(copy(from.squares)),
          plain(copy(from.plain)),
          counts(copy(from.counts)) {}
    void tell(ActivationSink& sink) {
        sums.weights = weights;
        sums.squares = squares;
        sums.plain = plain;
        sums.counts = counts;
        sink.on_input(sums);
    }

    InputSums sums;
    std::vector<std::string> weights;
    std::vector<float> squares;
    std::vector<float> plain;
    std::vector<std::int64_t> counts;
};

}  // namespace

class SinkOrder::Part final : public ActivationSink {
  public:
    Part(SinkOrder& order, std::size_t index) : order_(order), index_(index) {}

    void on_input(const InputSums& sums) override {
        order_.take(
            order_.line(order_.inputs_, std::pair(sums.weights.front(), sums.first_matrix)), index_,
            {sums.chunk, sums.n_chunks}, sums.squares.size_bytes() + sums.plain.size_bytes(),
            [&](ActivationSink& sink) { sink.on_input(sums); },
            [&] {
                return [held = std::make_shared<HeldInput>(sums)](ActivationSink& sink) { held->tell(sink); };
            });
    }
    void on_similarity(const SimilaritySums& sums) override {
        order_.take(
            order_.line(order_.similarities_, std::pair(sums.kind, sums.layer)), index_, {sums.chunk, 1},
            sizeof sums, [&](ActivationSink& sink) { sink.on_similarity(sums); },
            [&] { return [sums](ActivationSink& sink) { sink.on_similarity(sums); }; });
    }
    void on_losses(const ChunkLosses& losses) override {
        order_.take(
            order_.losses_, index_, {losses.chunk, 1}, losses.losses.size_bytes(),
            [&](ActivationSink& sink) { sink.on_losses(losses); },
            [&] {
                return [chunk = losses.chunk, held = copy(losses.losses)](ActivationSink& sink) {
                    sink.on_losses({chunk, held});
                };
            });
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

template <typename Key> SinkOrder::Line& SinkOrder::line(std::map<Key, Line>& lines, const Key& key) {
    const std::lock_guard lock(mutex_);
    return lines[key];  // a map's values stay where they are
}

template <typename Now, typename Hold>
void SinkOrder::take(Line& line, std::size_t part, ChunkRange chunks, std::size_t bytes, const Now& now,
                     const Hold& hold) {
    std::unique_lock lock(mutex_);
    line.seen.resize(ranges_.size());
    // A weight that several layers share comes round once for each: all chunks, then all chunks again.
    const std::int64_t round = line.seen[part] / ranges_[part].count;
    line.seen[part] += chunks.count;
    const std::int64_t place = round * n_chunks_ + chunks.first - ranges_.front().first;
    changed_.wait(lock, [&] {
        return cancelled_ || place == line.next || bytes_held_ == 0 || bytes_held_ + bytes <= kMostBytesHeld;
    });
    if (cancelled_) throw Error(ErrorKind::Internal, "", "another part of the wave has failed");
    if (place != line.next) {
        line.early.emplace(place, Early{hold(), chunks.count, bytes});
        bytes_held_ += bytes;
        return;
    }
    now(sink_);
    line.next += chunks.count;
    while (!line.early.empty() && line.early.begin()->first == line.next) {
        const Early early = std::move(line.early.begin()->second);
        line.early.erase(line.early.begin());
        early.tell(sink_);
        bytes_held_ -= early.bytes;
        line.next += early.n_chunks;
    }
    changed_.notify_all();
}

}  // namespace assay::engine
