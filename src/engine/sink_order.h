// One sink behind several passes, each over a part of the wave. The sink hears for each weight, each layer's
// similarity and the losses exactly the calls of a single pass, in the order of chunks; what comes early is
// copied and waits. So sums are added in the same order, to the same bits, however the chunks were dealt.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/activation_sink.h"
#include "engine/observation.h"

namespace assay::engine {

/// The sink is borrowed, and called from the threads of the parts, one at a time.
class SinkOrder {
  public:
    /// More than this is held only where a single call's sums are larger. A part that is too far ahead waits
    /// in its call for those before it.
    static constexpr std::size_t kMostBytesHeld = std::size_t{256} << 20;

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
    using Held = std::function<void(ActivationSink&)>;

    struct Early {
        Held tell;
        std::int64_t n_chunks = 0;
        std::size_t bytes = 0;
    };
    /// Calls that must keep an order among themselves.
    struct Line {
        std::int64_t next = 0;                ///< the place whose turn it is
        std::vector<std::int64_t> seen;       ///< chunks of each part so far
        std::map<std::int64_t, Early> early;  ///< by place
    };

    template <typename Key> Line& line(std::map<Key, Line>& lines, const Key& key);
    /// The call's turn: made now where it has come, else copied by hold() or waited for.
    template <typename Now, typename Hold>
    void take(Line& line, std::size_t part, ChunkRange chunks, std::size_t bytes, const Now& now,
              const Hold& hold);

    ActivationSink& sink_;
    const std::vector<ChunkRange> ranges_;
    std::int64_t n_chunks_ = 0;
    std::vector<std::unique_ptr<Part>> parts_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool cancelled_ = false;
    std::size_t bytes_held_ = 0;
    std::map<std::pair<std::string, std::int64_t>, Line> inputs_;  ///< by weight and first matrix
    std::map<std::pair<Similarity, std::int64_t>, Line> similarities_;
    Line losses_;
};

}  // namespace assay::engine
