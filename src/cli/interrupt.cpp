#include "cli/interrupt.h"

#include <csignal>

namespace assay::cli {

namespace {

// A signal handler can reach nothing but a variable of static life.
volatile std::sig_atomic_t first_signal = 0;

extern "C" void on_interrupt(int number) {
    if (first_signal == 0) first_signal = number;
    if (number == SIGHUP) return;  // it often comes twice, from the terminal and from the shell
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
    struct sigaction before {};
    sigaction(SIGHUP, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
}

bool interrupted() noexcept { return first_signal != 0; }

int stopped_code() noexcept { return 128 + (first_signal != 0 ? first_signal : SIGINT); }

}  // namespace assay::cli
