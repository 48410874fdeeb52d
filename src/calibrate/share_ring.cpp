#include "calibrate/share_ring.h"

#include <fmt/format.h>

#include "calibrate/cluster_tags.h"
#include "core/bytes.h"
#include "core/error.h"

namespace assay::calibrate {

namespace {

/// To the other ranks of this machine; null where there is no ring.
void tell_name(const gguf::HostRing* ring, cluster::Communicator& communicator) {
    const gguf::HostRingName name = ring != nullptr ? ring->name() : gguf::HostRingName();
    ByteWriter out;
    out.write(name.process);
    out.write(name.descriptor);
    out.write(name.key);
    const std::string& host = communicator.place(communicator.rank()).host;
    for (int other = 0; other < communicator.size(); ++other)
        if (other != communicator.rank() && communicator.place(other).host == host)
            communicator.send(other, kRing, out.bytes());
}

gguf::HostRingName hear_name(cluster::Communicator& communicator) {
    const cluster::Message message = communicator.receive(kRing);
    ByteReader in(message.bytes, communicator.name(message.from));
    gguf::HostRingName name;
    name.process = in.read<std::int64_t>("process");
    name.descriptor = in.read<std::int64_t>("descriptor");
    name.key = in.read<std::uint64_t>("key");
    return name;
}

}  // namespace

std::unique_ptr<gguf::HostRing> share_ring(const plan::PassPlan& pass, std::size_t n_devices,
                                           cluster::Communicator& communicator, Observer& observer) {
    const cluster::Place& place = communicator.place(communicator.rank());
    if (place.local_size <= 1) return nullptr;
    std::vector<gguf::FileRanges> jobs;
    for (const plan::Piece& piece : pass.pieces()) jobs.push_back({&pass.file(), piece.reads});
    const bool is_first = place.local_rank == 0;
    std::unique_ptr<gguf::HostRing> ring;
    try {
        if (is_first) {
            ring = std::make_unique<gguf::HostRing>(jobs, n_devices * pass.stream_bytes(),
                                                    static_cast<std::size_t>(place.local_size));
        } else if (const gguf::HostRingName name = hear_name(communicator); name.process != 0) {
            ring = std::make_unique<gguf::HostRing>(name, jobs, static_cast<std::size_t>(place.local_rank));
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::Io) throw;
        observer.on_note(fmt::format("{} reads a streamed model for itself: {}",
                                     communicator.name(communicator.rank()), error.what()));
    }
    if (is_first) tell_name(ring.get(), communicator);
    return ring;
}

}  // namespace assay::calibrate
