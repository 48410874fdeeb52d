// Memory of prepared weights, used over and over: they come and go by gigabytes a second, and pages fresh
// from the system would cost more time than decoding.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "core/file.h"

namespace assay::backend::cpu {

/// What is in use and what waits together never exceed the most that was in use at one time. Any thread.
class PagePool {
  public:
    /// `bytes` or up to a quarter more, holding whatever was there before. In use until the last copy goes,
    /// which may be after the pool. Throws Error{Io} when there is none left.
    std::shared_ptr<const PageMemory> take(std::size_t bytes);

  private:
    struct State {
        std::mutex mutex;
        std::deque<std::unique_ptr<const PageMemory>> waiting;  ///< longest first
        std::size_t waiting_bytes = 0;
        std::size_t used_bytes = 0;
        std::size_t most_bytes = 0;  ///< in use at one time

        std::unique_ptr<const PageMemory> find(std::size_t bytes);
        void give_back(std::unique_ptr<const PageMemory> memory) noexcept;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace assay::backend::cpu
