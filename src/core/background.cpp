#include "core/background.h"

#include <utility>

#include "core/error.h"
#include "core/thread_pool.h"

namespace assay {

Background::~Background() {
    if (thread_.joinable()) thread_.join();
}

void Background::start(std::function<void()> work) {
    under_way_ = true;
    done_ = false;
    const auto run = [this, work = std::move(work)] {
        try {
            work();
        } catch (...) {
            failure_ = std::current_exception();
        }
        done_ = true;
    };
    try {
        thread_ = start_thread(run);
    } catch (const Error&) {
        run();
    }
}

void Background::wait() {
    if (thread_.joinable()) thread_.join();
    under_way_ = false;
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace assay
