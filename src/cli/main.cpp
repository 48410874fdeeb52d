// The program: finds the command, and is the one place where errors become a sentence and an exit code.
#include <csignal>
#include <new>

#include "cli/dispatch.h"
#include "cli/output.h"
#include "core/error.h"

int main(int argc, char** argv) {
    // A reader that goes away is an error of writing, told like any other.
    std::signal(SIGPIPE, SIG_IGN);
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
