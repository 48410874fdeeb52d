// A process that answers messages: four bytes of length, least significant first, and so many bytes, over one
// socket that is its standard input and output. It has no other descriptors, an empty environment, and does
// not outlive the program.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "core/descriptor.h"

namespace assay::documents {

class HelperProcess {
  public:
    using Milliseconds = std::chrono::milliseconds;

    /// What became of a message.
    enum class Outcome {
        Answered,
        TimedOut,  ///< the process has been killed
        Ended,     ///< the process has gone
    };
    struct Answer {
        Outcome outcome = Outcome::Ended;
        std::string message;
    };

    /// Starts `command`, whose first word is the program's path. Throws Error{Io} where there is none.
    explicit HelperProcess(const std::vector<std::string>& command);
    /// Kills it.
    ~HelperProcess();
    HelperProcess(const HelperProcess&) = delete;
    HelperProcess& operator=(const HelperProcess&) = delete;

    /// The next message from the process, which is killed where it does not come within `limit`, or is longer
    /// than kLongestMessage.
    Answer receive(Milliseconds limit);
    /// Sends one and receives the answer, within `limit` in all.
    Answer ask(std::string_view message, Milliseconds limit);

    static constexpr std::size_t kLongestMessage = std::size_t{1} << 30;

  private:
    struct Started {
        int socket;
        pid_t process;
    };
    static Started start(const std::vector<std::string>& command);
    explicit HelperProcess(Started started) : socket_(started.socket), process_(started.process) {}

    using Deadline = std::chrono::steady_clock::time_point;
    bool wait_for(short events, Deadline deadline);
    Outcome send(std::string_view bytes, Deadline deadline);
    Outcome receive_bytes(std::string& bytes, std::size_t n_bytes, Deadline deadline);
    Answer receive_until(Deadline deadline);
    void kill();

    Descriptor socket_;
    pid_t process_;  ///< -1: it has been killed
};

}  // namespace assay::documents
