// One sink behind several passes, each over a part of the wave. The sink hears for each weight, each layer's
// similarity and the losses the calls of the passes in the order of chunks; a call that comes early waits. So
// sums are added in the same order, to the same bits, however the chunks were dealt.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/activation_sink.h"
#include "engine/observation.h"

namespace assay::engine {

/// The sink is borrowed, and called from the threads of the parts, one at a time. A part waits only for those
/// before it, so the order in which each of them goes through the layers must be the same.
class SinkOrder {
  public:
    /// parts: consecutive chunks of the wave, none empty.
    SinkOrder(ActivationSink& sink, const std::vector<ChunkRange>& parts);
    ~SinkOrder();
    SinkOrder(const SinkOrder&) = delete;
    SinkOrder& operator=(const SinkOrder&) = delete;

    /// Where the pass over this part sends what it observes.
    ActivationSink& part(std::size_t index);
    /// A part failed: calls that wait for it, and all later ones, throw.
    void cancel();

  private:
    class Part;

    /// Calls that must keep an order among themselves.
    struct Line {
        std::int64_t next = 0;           ///< the place whose turn it is
        std::vector<std::int64_t> seen;  ///< chunks of each part so far
    };

    /// Waits for the turn of the part's next chunks, makes the call and passes the turn on.
    template <typename Key, typename Call>
    void take(std::map<Key, Line>& lines, const Key& key, std::size_t part, ChunkRange chunks, Call call);

    ActivationSink& sink_;
    const std::vector<ChunkRange> ranges_;
    std::int64_t n_chunks_ = 0;
    std::vector<std::unique_ptr<Part>> parts_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool cancelled_ = false;
    std::map<std::pair<std::string, std::int64_t>, Line> inputs_;  ///< by weight and first matrix
    std::map<std::pair<Similarity, std::int64_t>, Line> similarities_;
    std::map<int, Line> losses_;  ///< a single line
};

}  // namespace assay::engine
