// The order in which passes over parts of one wave tell what they observed. Each keeps its own chunks in
// order; where one part ends and the next begins, the later one waits. So sums are added in the order of
// chunks, to the same bits, however the chunks were dealt.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

namespace assay::engine {

/// Chunks [first, first + count) of the run.
struct ChunkRange {
    std::int64_t first = 0;
    std::int64_t count = 0;
};

/// What is told of some chunks, in its place among the chunks before and after.
struct Turn {
    /// A name and two numbers. What has the same key keeps an order; what has different keys does not wait
    /// for one another.
    using Key = std::tuple<std::string, std::int64_t, std::int64_t>;

    Key key;
    ChunkRange chunks;
};

/// Safe to call from several threads. A part waits only for those before it, so the order in which each of
/// them goes through the keys must be the same. Nothing is locked between wait() and done(): whoever has a
/// turn may take as long as its device needs, and turns of other keys pass meanwhile.
class Turns {
  public:
    /// Of a wave that begins with this chunk.
    explicit Turns(std::int64_t first_chunk) : first_chunk_(first_chunk) {}

    /// Waits until all earlier chunks of the key are done. Throws Error{Internal} after cancel().
    void wait(const Turn& turn);
    void done(const Turn& turn);
    /// A part has failed: those who wait, now or later, must not wait for it.
    void cancel();

  private:
    /// The chunk whose turn it is.
    std::int64_t& next(const Turn::Key& key) { return next_.try_emplace(key, first_chunk_).first->second; }

    const std::int64_t first_chunk_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<Turn::Key, std::int64_t> next_;
    bool cancelled_ = false;
};

}  // namespace assay::engine
