#include "cli/interrupt.h"

#include <csignal>

namespace assay::cli {

namespace {

// A signal handler can reach nothing but a variable of static life.
volatile std::sig_atomic_t interrupt_count = 0;

extern "C" void on_interrupt(int) {
    interrupt_count = 1;
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() noexcept { return interrupt_count != 0; }

}  // namespace assay::cli
