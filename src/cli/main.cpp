// The program: finds the command, and is the one place where errors become a sentence and an exit code.
#include <csignal>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <new>
#include <unistd.h>

#include "cli/dispatch.h"
#include "cli/lost_file.h"
#include "cli/output.h"
#include "core/error.h"

namespace {

/// Else the next file opened would be taken for a standard stream, and what is written to one would go there.
void occupy_closed_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(stream, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) < 0) return;
}

/// --memory is what the system sees: a buffer that is freed goes back to it, and is not kept for another of
/// its size. Smaller pieces are gone over too often for that.
void give_back_large_buffers() {
#ifdef __GLIBC__
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

}  // namespace

int main(int argc, char** argv) {
    give_back_large_buffers();
    occupy_closed_streams();
    // A reader that goes away is an error of writing, told like any other.
    std::signal(SIGPIPE, SIG_IGN);
    assay::cli::catch_lost_pages();
    std::signal(SIGXFSZ, SIG_IGN);  // so is a file that grows past the limit
    try {
        return assay::cli::dispatch({argv + 1, argv + argc});
    } catch (const assay::Error& error) {
        assay::cli::say(std::string("assay: ") + error.what());
    } catch (const std::bad_alloc&) {
        assay::cli::say("assay: memory is exhausted; --memory bounds what a run takes");
    } catch (const std::exception& error) {
        assay::cli::say(std::string("assay: internal error: ") + error.what());
    }
    return 1;
}
