#include "cli/lost_file.h"

#include <atomic>
#include <csignal>
#include <fmt/format.h>
#include <string>
#include <unistd.h>

namespace assay::cli {

namespace {

// A signal handler can reach nothing but variables of static life, and must not make a sentence itself.
std::string& sentence() {
    static std::string text;
    return text;
}
const char* prepared = nullptr;
std::size_t prepared_bytes = 0;
std::atomic_flag told = ATOMIC_FLAG_INIT;

extern "C" void on_lost_page(int, siginfo_t* info, void*) {
    if (info->si_code != BUS_ADRERR) {  // not a page of a file: the access fails again, and kills as usual
        std::signal(SIGBUS, SIG_DFL);
        return;
    }
    while (told.test_and_set()) ::pause();  // another thread is telling, and ends this one too
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, prepared, prepared_bytes);
    ::_exit(1);
}

}  // namespace

void tell_when_lost(const std::filesystem::path& file) {
    sentence() = fmt::format(
        "{}assay: {}: cannot be read to its end any more: it became shorter while it was in use, or its disk "
        "failed\n",
        ::isatty(STDERR_FILENO) == 1 ? "\n" : "", file.string());  // not onto a progress line
    prepared = sentence().data();
    prepared_bytes = sentence().size();
    struct sigaction action {};
    action.sa_sigaction = on_lost_page;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, nullptr);
}

}  // namespace assay::cli
