#include "documents/helper_process.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace assay::documents {

namespace {

/// In a process group of its own, so that Ctrl-C is the program's alone.
int spawn(const std::vector<std::string>& command, int socket, pid_t& process) {
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    char* environment[] = {const_cast<char*>("LC_ALL=C.UTF-8"), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, socket, 0);
    ::posix_spawn_file_actions_adddup2(&files, socket, 1);
    ::posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&files, 3);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int failure =
        ::posix_spawn(&process, words.front(), &files, &attributes, words.data(), environment);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    return failure;
}

}  // namespace

HelperProcess::Started HelperProcess::start(const std::vector<std::string>& command) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw_errno(command.front(), "no socket for it");
    Descriptor own(ends[0]);
    const Descriptor other(ends[1]);
    pid_t process = -1;
    if (const int failure = spawn(command, other.get(), process); failure != 0)
        throw_error(ErrorKind::Io, command.front(), "cannot be started: {}", std::strerror(failure));
    return {own.release(), process};
}

HelperProcess::HelperProcess(const std::vector<std::string>& command) : HelperProcess(start(command)) {}

HelperProcess::~HelperProcess() { kill(); }

void HelperProcess::kill() {
    if (process_ < 0) return;
    ::kill(process_, SIGKILL);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
}

bool HelperProcess::wait_for(short events, Deadline deadline) {
    for (;;) {
        const auto left =
            std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0) return false;
        pollfd polled{socket_.get(), events, 0};
        const int n = ::poll(&polled, 1, static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) throw_errno("helper process", "poll");
    }
}

HelperProcess::Outcome HelperProcess::send(std::string_view bytes, Deadline deadline) {
    while (!bytes.empty()) {
        if (!wait_for(POLLOUT, deadline)) return Outcome::TimedOut;
        const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(n));
        else if (errno != EAGAIN && errno != EINTR)
            return Outcome::Ended;
    }
    return Outcome::Answered;
}

HelperProcess::Outcome HelperProcess::receive_bytes(std::string& bytes, std::size_t n_bytes,
                                                    Deadline deadline) {
    // Memory is taken as bytes come: the length is what the process says.
    constexpr std::size_t kPiece = std::size_t{1} << 20;
    bytes.clear();
    while (bytes.size() < n_bytes) {
        if (!wait_for(POLLIN, deadline)) return Outcome::TimedOut;
        const std::size_t before = bytes.size();
        bytes.resize(std::min(n_bytes, before + kPiece));
        const ssize_t n = ::recv(socket_.get(), bytes.data() + before, bytes.size() - before, MSG_DONTWAIT);
        bytes.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return Outcome::Ended;
    }
    return Outcome::Answered;
}

HelperProcess::Answer HelperProcess::receive_until(Deadline deadline) {
    Answer answer;
    std::string head;
    answer.outcome = receive_bytes(head, 4, deadline);
    if (answer.outcome == Outcome::Answered) {
        std::size_t n_bytes = 0;
        for (std::size_t i = 0; i < 4; ++i)
            n_bytes |= static_cast<std::size_t>(static_cast<unsigned char>(head[i])) << (8 * i);
        answer.outcome =
            n_bytes > kLongestMessage ? Outcome::Ended : receive_bytes(answer.message, n_bytes, deadline);
    }
    if (answer.outcome != Outcome::Answered) kill();
    return answer;
}

HelperProcess::Answer HelperProcess::receive(Milliseconds limit) {
    return receive_until(std::chrono::steady_clock::now() + limit);
}

HelperProcess::Answer HelperProcess::ask(std::string_view message, Milliseconds limit) {
    const Deadline deadline = std::chrono::steady_clock::now() + limit;
    std::string bytes;
    for (std::size_t i = 0; i < 4; ++i) bytes += static_cast<char>(message.size() >> (8 * i) & 0xFF);
    bytes += message;
    const Outcome sent = send(bytes, deadline);
    if (sent == Outcome::Answered) return receive_until(deadline);
    kill();
    return {sent, {}};
}

}  // namespace assay::documents
