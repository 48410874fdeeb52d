#include "backend/cpu/page_pool.h"

#include <algorithm>
#include <new>
#include <utility>

namespace assay::backend::cpu {

std::unique_ptr<const PageMemory> PagePool::State::find(std::size_t bytes) {
    auto best = waiting.end();
    for (auto it = waiting.begin(); it != waiting.end(); ++it) {
        const std::size_t size = (*it)->bytes().size();
        if (size < bytes || size > bytes + bytes / 4) continue;
        if (best == waiting.end() || size < (*best)->bytes().size()) best = it;
    }
    if (best != waiting.end()) {
        std::unique_ptr<const PageMemory> memory = std::move(*best);
        waiting.erase(best);
        waiting_bytes -= memory->bytes().size();
        return memory;
    }
    while (!waiting.empty() &&
           used_bytes + waiting_bytes + bytes > std::max(most_bytes, used_bytes + bytes)) {
        waiting_bytes -= waiting.front()->bytes().size();
        waiting.pop_front();
    }
    return std::make_unique<const PageMemory>(bytes);
}

void PagePool::State::give_back(std::unique_ptr<const PageMemory> memory) noexcept {
    const std::size_t size = memory->bytes().size();
    const std::lock_guard lock(mutex);
    used_bytes -= size;
    try {
        waiting.push_back(std::move(memory));
        waiting_bytes += size;
    } catch (const std::bad_alloc&) {  // then it is freed
    }
}

std::shared_ptr<const PageMemory> PagePool::take(std::size_t bytes) {
    std::unique_ptr<const PageMemory> memory;
    {
        const std::lock_guard lock(state_->mutex);
        memory = state_->find(bytes);
        state_->used_bytes += memory->bytes().size();
        state_->most_bytes = std::max(state_->most_bytes, state_->used_bytes);
    }
    // Without the lock: where there is no memory for the count of copies, it is given back at once.
    return {memory.release(), [state = state_](const PageMemory* returned) {
                state->give_back(std::unique_ptr<const PageMemory>(returned));
            }};
}

}  // namespace assay::backend::cpu
