#include "calibrate/saved_state.h"
#include "core/error.h"
#include "core/fingerprint.h"
#include "fuzz/support.h"

namespace assay::fuzz {

namespace {

/// With the checksum that a damaged file would not have: what is looked at is what lies behind it.
std::vector<std::byte> sealed(Bytes bytes) {
    std::vector<std::byte> all(bytes.begin(), bytes.end());
    const std::uint64_t seal = fingerprint_of(bytes);
    const auto end = std::as_bytes(std::span(&seal, 1));
    all.insert(all.end(), end.begin(), end.end());
    return all;
}

void go_on(const calibrate::SavedState& state) {
    calibrate::Collector collector((imatrix::Matrix()));
    collector.restore(state.sums());
    collector.commit();
    for (const auto& [name, entry] : collector.committed().matrix.entries)
        expect(entry.width > 0 && entry.sum_sq.size() % entry.width == 0 && !entry.counts.empty() &&
                   entry.sum_sq.size() % entry.counts.size() == 0,
               "sums of a state fit together");
}

template <typename Read> void refused_or(Read read) {
    try {
        read();
    } catch (const Error& error) {
        expect(error.kind() != ErrorKind::Internal, error.what());
    }
}

}  // namespace

void examine_checkpoint(Bytes bytes) {
    const MemoryFile file(sealed(bytes));
    refused_or([&] { go_on(calibrate::SavedState(file.path())); });
    refused_or([&] { (void)calibrate::read_record(file.path()); });
}

}  // namespace assay::fuzz
