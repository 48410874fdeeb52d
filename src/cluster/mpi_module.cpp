// The transport over MPI, a shared object of its own: the program opens it at run time, so that it runs
// where MPI is not installed.
#include <cstdlib>
#include <deque>
#include <mpi.h>

#include "cluster/transport.h"

namespace assay::cluster {

namespace {

class MpiTransport final : public Transport {
  public:
    MpiTransport() {
        MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
        MPI_Comm_size(MPI_COMM_WORLD, &size_);
        char name[MPI_MAX_PROCESSOR_NAME] = {};
        int length = 0;
        MPI_Get_processor_name(name, &length);
        host_.assign(name, static_cast<std::size_t>(length));
    }
    ~MpiTransport() override { MPI_Finalize(); }
    MpiTransport(const MpiTransport&) = delete;
    MpiTransport& operator=(const MpiTransport&) = delete;

    int rank() const override { return rank_; }
    int size() const override { return size_; }
    std::string host() const override { return host_; }

    void send(int to, int tag, std::vector<std::byte> bytes) override {
        Sending& sending = sending_.emplace_back();
        sending.bytes = std::move(bytes);
        MPI_Isend(sending.bytes.data(), static_cast<int>(sending.bytes.size()), MPI_BYTE, to, tag,
                  MPI_COMM_WORLD, &sending.request);
    }
    std::size_t unsent_bytes() override {
        std::size_t unsent = 0;
        for (auto it = sending_.begin(); it != sending_.end();) {
            int sent = 0;
            MPI_Test(&it->request, &sent, MPI_STATUS_IGNORE);
            if (sent != 0) {
                it = sending_.erase(it);
            } else {
                unsent += it->bytes.size() + 1;
                ++it;
            }
        }
        return unsent;
    }
    std::optional<Message> poll(std::optional<int> only) override {
        int there = 0;
        MPI_Status status;
        MPI_Message handle;
        MPI_Improbe(MPI_ANY_SOURCE, only.value_or(MPI_ANY_TAG), MPI_COMM_WORLD, &there, &handle, &status);
        if (there == 0) return std::nullopt;
        int size = 0;
        MPI_Get_count(&status, MPI_BYTE, &size);
        Message message{status.MPI_SOURCE, status.MPI_TAG,
                        std::vector<std::byte>(static_cast<std::size_t>(size))};
        MPI_Mrecv(message.bytes.data(), size, MPI_BYTE, &handle, MPI_STATUS_IGNORE);
        return message;
    }
    [[noreturn]] void abort(int code) override {
        MPI_Abort(MPI_COMM_WORLD, code);
        std::_Exit(code);
    }

  private:
    struct Sending {
        std::vector<std::byte> bytes;
        MPI_Request request = MPI_REQUEST_NULL;
    };
    int rank_ = 0;
    int size_ = 1;
    std::string host_;
    std::deque<Sending> sending_;
};

}  // namespace

}  // namespace assay::cluster

extern "C" assay::cluster::Transport* assay_open_mpi() {
    int provided = 0;
    // The program has other threads, none of which calls MPI.
    if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) return nullptr;
    return new assay::cluster::MpiTransport();
}
