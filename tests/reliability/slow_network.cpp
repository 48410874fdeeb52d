// slow_network NODES MBIT_PER_S DELAY_MS COMMAND [ARGUMENT...]: runs a command on the first of a few machines
// that are none: each has its own network and host name, nothing else. They are joined by a switch whose
// lines carry so many megabits a second each way and whose way takes so many milliseconds. What each has sent
// and received is told on standard error at the end. Ends as the command does, or with 77 and a reason where
// the system does not permit it.
//
// The nodes are 10.0.0.1, 10.0.0.2, ...; `/run/on ADDRESS COMMAND` runs a command on one of them, as mpirun's
// plm_rsh_agent does. All is in namespaces that the kernel removes when this process ends, however it does.
// The switch is a process between tap devices, since few kernels of virtual machines have netem.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kNotPermitted = 77;

/// Ends the process where a call has failed.
int need(int result, const std::string& what) {
    if (result >= 0) return result;
    fmt::print(stderr, "slow_network: cannot {}: {}\n", what, std::strerror(errno));
    std::_Exit(kNotPermitted);
}

void write_to(const std::string& path, const std::string& text, mode_t mode = 0644) {
    const int file =
        need(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, mode), fmt::format("open {}", path));
    need(static_cast<int>(::write(file, text.data(), text.size())), fmt::format("write {}", path));
    ::close(file);
}

std::string address_of(std::size_t node) { return fmt::format("10.0.0.{}", node + 1); }
std::string namespace_file(std::size_t node, const char* kind) {
    return fmt::format("/run/{}.{}", address_of(node), kind);
}

/// Frames that are on their way to a node, in the order in which they come there.
struct Frame {
    Clock::time_point due;
    std::vector<std::uint8_t> bytes;
};

struct Node {
    int tap = -1;
    std::uint64_t sent = 0, received = 0;  ///< bytes of frames
    Clock::time_point sends_until, receives_until;
    std::deque<Frame> coming;
};

sockaddr internet(const std::string& address) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
    sockaddr out{};
    std::memcpy(&out, &in, sizeof out);
    return out;
}

void raise_interface(int socket, ifreq request) {
    need(::ioctl(socket, SIOCGIFFLAGS, &request), "read an interface's flags");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    need(::ioctl(socket, SIOCSIFFLAGS, &request), "raise an interface");
}

/// This thread is in the node afterwards. Its interface eth0 is the device that is returned; the last byte of
/// its hardware address is its number.
int enter_new_node(std::size_t node) {
    need(::unshare(CLONE_NEWNET | CLONE_NEWUTS), "make a network namespace");
    const std::string name = fmt::format("node{}", node);
    need(::sethostname(name.c_str(), name.size()), "name a node");
    const int tap = need(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open /dev/net/tun");
    ifreq request{};
    std::strcpy(request.ifr_name, "eth0");
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    need(::ioctl(tap, TUNSETIFF, &request), "make a tap device");
    const int socket = need(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open a socket");
    request.ifr_hwaddr = {1, {2, 0, 0, 0, 0, static_cast<char>(node)}};  // Ethernet; locally administered
    need(::ioctl(socket, SIOCSIFHWADDR, &request), "set a hardware address");
    request.ifr_addr = internet(address_of(node));
    need(::ioctl(socket, SIOCSIFADDR, &request), "set an address");
    request.ifr_netmask = internet("255.255.255.0");
    need(::ioctl(socket, SIOCSIFNETMASK, &request), "set a network");
    raise_interface(socket, request);
    std::strcpy(request.ifr_name, "lo");
    raise_interface(socket, request);
    ::close(socket);
    for (const char* kind : {"net", "uts"}) {
        write_to(namespace_file(node, kind), "");
        need(::mount(fmt::format("/proc/self/ns/{}", kind).c_str(), namespace_file(node, kind).c_str(),
                     nullptr, MS_BIND, nullptr),
             "keep a namespace");
    }
    return tap;
}

class Switch {
  public:
    Switch(std::vector<Node> nodes, double bytes_per_second, std::chrono::nanoseconds delay)
        : nodes_(std::move(nodes)), seconds_per_byte_(1 / bytes_per_second), delay_(delay) {}

    /// Until the descriptor can be read.
    void run_until(int end) {
        std::vector<pollfd> polled{{end, POLLIN, 0}};
        for (const Node& node : nodes_) polled.push_back({node.tap, POLLIN, 0});
        while ((polled[0].revents & POLLIN) == 0) {
            const timespec wait = time_to_next();
            if (::ppoll(polled.data(), polled.size(), &wait, nullptr) < 0 && errno != EINTR) return;
            for (std::size_t i = 0; i < nodes_.size(); ++i)
                if (polled[i + 1].revents != 0) take_from(i);
            for (Node& node : nodes_) give_to(node);
        }
    }
    void tell() const {
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            fmt::print(stderr, "node{} sent {} bytes and received {}\n", i, nodes_[i].sent,
                       nodes_[i].received);
    }

  private:
    timespec time_to_next() const {
        std::chrono::nanoseconds left = std::chrono::seconds(1);
        for (const Node& node : nodes_)
            if (!node.coming.empty())
                left = std::min<std::chrono::nanoseconds>(left, node.coming.front().due - Clock::now());
        left = std::max(left, std::chrono::nanoseconds(0));
        return {left / std::chrono::seconds(1), (left % std::chrono::seconds(1)).count()};
    }
    void take_from(std::size_t from) {
        std::uint8_t buffer[65536];
        for (ssize_t n = 0; (n = ::read(nodes_[from].tap, buffer, sizeof buffer)) > 0;) {
            const std::vector<std::uint8_t> frame(buffer, buffer + n);
            const auto takes = time_of(frame.size());
            Node& sender = nodes_[from];
            sender.sent += frame.size();
            sender.sends_until = std::max(sender.sends_until, Clock::now()) + takes;
            const bool to_all = (frame[0] & 1) != 0;
            for (std::size_t to = 0; to < nodes_.size(); ++to) {
                if (to == from || (!to_all && frame[5] != to)) continue;
                Node& receiver = nodes_[to];
                // A frame begins to come in before the whole of it has been sent.
                receiver.receives_until =
                    std::max(receiver.receives_until + takes, sender.sends_until + delay_);
                receiver.coming.push_back({receiver.receives_until, frame});
            }
        }
    }
    static void give_to(Node& node) {
        while (!node.coming.empty() && node.coming.front().due <= Clock::now()) {
            const auto& bytes = node.coming.front().bytes;
            if (::write(node.tap, bytes.data(), bytes.size()) >= 0) node.received += bytes.size();
            node.coming.pop_front();
        }
    }
    Clock::duration time_of(std::size_t bytes) const {
        return std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(static_cast<double>(bytes) * seconds_per_byte_));
    }

    std::vector<Node> nodes_;
    const double seconds_per_byte_;
    const std::chrono::nanoseconds delay_;
};

/// In namespaces of our own, as their first process: its end is that of all others in them.
int run_command(std::size_t n_nodes, double bytes_per_second, std::chrono::nanoseconds delay,
                char** command) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    need(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "keep mounts to itself");
    need(::mount("proc", "/proc", "proc", 0, nullptr), "mount /proc");
    need(::mount("none", "/run", "tmpfs", 0, nullptr), "mount /run");
    // Open MPI names its folder by host and process number, which are the same in two runs side by side: the
    // one that ends first would take the other's files away.
    ::setenv("TMPDIR", "/run", 1);
    write_to("/run/on",
             "#!/bin/sh\nhost=$1; shift\n"
             "exec nsenter --net=/run/$host.net --uts=/run/$host.uts sh -c \"$*\"\n",
             0755);
    std::vector<Node> nodes(n_nodes);
    for (std::size_t i = n_nodes; i-- > 0;) nodes[i].tap = enter_new_node(i);
    const pid_t child = need(::fork(), "start a process");
    if (child == 0) {
        ::execvp(command[0], command);
        fmt::print(stderr, "slow_network: cannot run {}: {}\n", command[0], std::strerror(errno));
        std::_Exit(127);
    }
    Switch network(std::move(nodes), bytes_per_second, delay);
    network.run_until(need(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)), "wait for a process"));
    network.tell();
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// All that root may do, in namespaces that are then made, where the system lets its users.
void become_root() {
    const auto user = ::getuid();
    const auto group = ::getgid();
    need(::unshare(CLONE_NEWUSER), "make namespaces without being root");
    write_to("/proc/self/setgroups", "deny");
    write_to("/proc/self/uid_map", fmt::format("0 {} 1", user));
    write_to("/proc/self/gid_map", fmt::format("0 {} 1", group));
}

}  // namespace

int main(int argc, char** argv) {
    const int n_nodes = argc > 1 ? std::atoi(argv[1]) : 0;
    const double mbit = argc > 2 ? std::atof(argv[2]) : 0, delay_ms = argc > 3 ? std::atof(argv[3]) : -1;
    if (argc < 5 || n_nodes < 1 || n_nodes > 100 || !(mbit > 0) || !(delay_ms >= 0)) {
        fmt::print(stderr, "usage: slow_network NODES MBIT_PER_S DELAY_MS COMMAND [ARGUMENT...]\n");
        return 1;
    }
    if (::getuid() != 0) become_root();
    need(::unshare(CLONE_NEWNS | CLONE_NEWPID), "make namespaces");
    const pid_t child = need(::fork(), "start a process");
    if (child == 0)
        std::_Exit(run_command(static_cast<std::size_t>(n_nodes), mbit * 1e6 / 8,
                               std::chrono::nanoseconds(static_cast<std::int64_t>(delay_ms * 1e6)),
                               argv + 4));
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
