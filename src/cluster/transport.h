// The wire between the ranks of a cluster: messages of bytes, each to one rank. What MPI and the tests' own
// implement, and nothing above it knows of either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace assay::cluster {

struct Message {
    int from = 0;
    int tag = 0;  ///< what kind it is
    std::vector<std::byte> bytes;
};

/// All calls come from one thread, that which opened it. Messages between two ranks arrive in order.
class Transport {
  public:
    /// Waits for the others, who do the same.
    virtual ~Transport() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;
    virtual std::string host() const = 0;
    /// Begins to send and returns. No message is as long as 2 GiB (Communicator).
    virtual void send(int to, int tag, std::vector<std::byte> bytes) = 0;
    /// Moves things on. Returns how many bytes are still on their way out.
    virtual std::size_t unsent_bytes() = 0;
    /// The next message that has come, if any; `only`: of this tag.
    virtual std::optional<Message> poll(std::optional<int> only) = 0;
    /// Ends all ranks.
    [[noreturn]] virtual void abort(int code) = 0;
};

/// What the module for MPI exports under this name: takes part in the cluster. Null where MPI refuses.
inline constexpr const char* kOpenTransport = "assay_open_mpi";
using OpenTransport = Transport* (*)();

}  // namespace assay::cluster
