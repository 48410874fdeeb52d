// Reads mutations of small models and matrices, batch by batch in processes of their own, and tells of each
// that ends its process, takes too long or asks for too much memory. Meant to be built with the address
// sanitizer.
//   mutate N [FIRST]             N mutations of all subjects together, each subject's from number FIRST (0)
//   on mutate SUBJECT NUMBER [FILE] the one mutation; FILE receives the mutated file
#include <chrono>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <new>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "core/error.h"
#include "hostile/subject.h"

namespace assay::test {
namespace {

constexpr std::uint64_t kBatch = 200;
constexpr std::uint64_t kRunEvery = 4;  ///< a chunk goes through every so many of the models that are taken
constexpr int kMostSeconds = 5;         ///< of processor time

/// What a batch leaves for the process that started it.
struct Tally {
    std::uint64_t number;  ///< under way
    std::uint64_t verdicts[3];
    std::uint64_t too_large;
    double slowest_seconds;
};

void limit_time(int seconds) {
    const itimerval processor{{}, {seconds, 0}};
    setitimer(ITIMER_PROF, &processor, nullptr);
    alarm(static_cast<unsigned>(20 * seconds));  // for those that wait without end
}

void read_batch(Subject& subject, std::uint64_t first, std::uint64_t end, Tally& tally) {
    for (std::uint64_t number = first; number < end; ++number) {
        tally.number = number;
        limit_time(kMostSeconds);
        const std::clock_t start = std::clock();
        try {
            const auto verdict = subject.examine(subject.mutation(number), number % kRunEvery == 0);
            ++tally.verdicts[static_cast<std::size_t>(verdict)];
        } catch (const std::bad_alloc&) {
            ++tally.too_large;
            fmt::print("{} {}: more than {} bytes at once:{}\n", subject.name(), number, subject.most_bytes(),
                       subject.mutation(number).what);
        }
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        tally.slowest_seconds = std::max(tally.slowest_seconds, seconds);
    }
}

/// Numbers of the mutations that ended their process.
std::uint64_t read_all(Subject& subject, std::uint64_t first, std::uint64_t end, Tally& tally) {
    std::uint64_t ended = 0;
    while (first < end) {
        const std::uint64_t next = std::min(end, first + kBatch);
        std::fflush(stdout);
        const pid_t child = ::fork();
        if (child == 0) {
            read_batch(subject, first, next, tally);
            std::fflush(stdout);
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        first = next;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        ++ended;
        const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        const bool late = signal == SIGPROF || signal == SIGALRM;
        fmt::print("{} {}: {}:{}\n", subject.name(), tally.number,
                   late ? "takes too long" : fmt::format("ended with status {:#x}", status),
                   subject.mutation(tally.number).what);
        first = tally.number + 1;
    }
    return ended;
}

int read_many(std::uint64_t n, std::uint64_t first) {
    std::vector<Subject> all = subjects();
    const std::uint64_t each = (n + all.size() - 1) / all.size();
    auto* tally = static_cast<Tally*>(
        ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::uint64_t findings = 0, total = 0;
    for (Subject& subject : all) {
        std::memset(static_cast<void*>(tally), 0, sizeof(Tally));
        const std::uint64_t ended = read_all(subject, first, first + each, *tally);
        findings += ended + tally->too_large;
        total += each;
        fmt::print(
            "{}: {} mutations, {} refused, {} taken, {} run, {} too large, {} ended; the slowest {:.2f} s\n",
            subject.name(), each, tally->verdicts[0], tally->verdicts[1], tally->verdicts[2],
            tally->too_large, ended, tally->slowest_seconds);
    }
    fmt::print("{} mutations, {} findings\n", total, findings);
    return findings == 0 ? 0 : 1;
}

int read_one(const std::string& name, std::uint64_t number, const char* file) {
    for (Subject& subject : subjects()) {
        if (subject.name() != name) continue;
        const Mutation mutation = subject.mutation(number);
        fmt::print("{}\n", mutation.what);
        std::fflush(stdout);
        if (file != nullptr) {
            const auto bytes = subject.bytes(mutation);
            std::ofstream(file, std::ios::binary)
                .write(reinterpret_cast<const char*>(bytes.data()),
                       static_cast<std::streamsize>(bytes.size()));
        }
        fmt::print("verdict {}\n", static_cast<int>(subject.examine(mutation, true)));
        return 0;
    }
    fmt::print(stderr, "there is no subject {}\n", name);
    return 1;
}

}  // namespace
}  // namespace assay::test

int main(int argc, char** argv) try {
    const std::string first = argc > 1 ? argv[1] : "";
    if (first.empty()) {
        fmt::print(stderr, "usage: mutate N [FIRST] | mutate SUBJECT NUMBER [FILE]\n");
        return 1;
    }
    if (first.find_first_not_of("0123456789") == std::string::npos)
        return assay::test::read_many(std::stoull(first), argc > 2 ? std::stoull(argv[2]) : 0);
    return assay::test::read_one(first, std::stoull(argc > 2 ? argv[2] : "0"), argc > 3 ? argv[3] : nullptr);
} catch (const std::exception& error) {
    fmt::print(stderr, "mutate: {}\n", error.what());
    return 1;
}
