#include "cli/lost_file.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <sys/uio.h>
#include <unistd.h>

#include "core/mapped_files.h"

namespace assay::cli {

namespace {

// A signal handler can reach nothing but variables of static life.
bool to_terminal = false;
std::atomic_flag told = ATOMIC_FLAG_INIT;

iovec part(const char* text) { return {const_cast<char*>(text), std::strlen(text)}; }

extern "C" void on_lost_page(int, siginfo_t* info, void*) {
    const char* file = info->si_code == BUS_ADRERR ? mapped_file_at(info->si_addr) : nullptr;
    if (file == nullptr) {  // not a page of a file of ours: the access fails again, and kills as usual
        std::signal(SIGBUS, SIG_DFL);
        return;
    }
    while (told.test_and_set()) ::pause();  // another thread is telling, and ends this one too
    const std::array sentence{
        part(to_terminal ? "\nassay: " : "assay: "), part(file),  // not onto a progress line
        part(": cannot be read to its end any more: it became shorter while it was in use, or "
             "its disk failed\n")};
    [[maybe_unused]] const ssize_t ignored = ::writev(STDERR_FILENO, sentence.data(), sentence.size());
    ::_exit(1);
}

}  // namespace

void catch_lost_pages() {
    to_terminal = ::isatty(STDERR_FILENO) == 1;
    struct sigaction action {};
    action.sa_sigaction = on_lost_page;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, nullptr);
}

}  // namespace assay::cli
