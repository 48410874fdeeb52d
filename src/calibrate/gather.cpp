#include "calibrate/gather.h"

#include <algorithm>
#include <utility>

#include "calibrate/cluster_tags.h"
#include "calibrate/messages.h"
#include "calibrate/wave_checkpoint.h"

namespace assay::calibrate {

namespace {

/// Of several weights with the same sums, as those of one input have.
std::vector<std::byte> pack(const std::vector<std::string>& weights, const imatrix::Entry& entry) {
    ByteWriter out;
    out.write(static_cast<std::uint64_t>(weights.size()));
    for (const std::string& weight : weights) write_text(out, weight);
    out.write(entry.width);
    write_values(out, entry.sum_sq);
    write_values(out, entry.sum_sq_low);
    write_values(out, entry.sum);
    write_values(out, entry.sum_low);
    write_values(out, entry.counts);
    return out.bytes();
}

/// What ends the entries: no weights, and the similarity.
std::vector<std::byte> pack(const similarity::Similarity& similarity) {
    ByteWriter out;
    out.write(std::uint64_t{0});
    for (const similarity::Kind kind : similarity::kKinds) {
        out.write(static_cast<std::uint64_t>(similarity.sums(kind).size()));
        for (const similarity::Sum& sum : similarity.sums(kind)) {
            write_values(out, std::vector{sum.cos.high, sum.cos.low, sum.relative_change.high,
                                          sum.relative_change.low});
            out.write(sum.count);
        }
    }
    return out.bytes();
}

cluster::Message receive(cluster::Communicator& communicator, int tag, int from) {
    auto message = communicator.receive_unless(kStop, tag, from);
    if (!message) throw Stopped();
    return std::move(*message);
}

/// Names of one input's weights (q, k and v; gate, router and up) have no more than so many others between
/// them.
constexpr std::size_t kNear = 32;

void send_sums(cluster::Communicator& communicator, int to, const Collected& sums) {
    receive(communicator, kSumsWanted, to);
    std::vector<const std::pair<const std::string, imatrix::Entry>*> left;
    for (const auto& entry : sums.matrix.entries) left.push_back(&entry);
    for (std::size_t first = 0; first < left.size(); ++first) {
        if (left[first] == nullptr) continue;
        const auto& [name, entry] = *left[first];
        std::vector<std::string> weights{name};
        for (std::size_t i = first + 1; i < std::min(left.size(), first + kNear); ++i)
            if (left[i] != nullptr && left[i]->second == entry)
                weights.push_back(std::exchange(left[i], nullptr)->first);
        communicator.send(to, kSums, pack(weights, entry));
    }
    communicator.send(to, kSums, pack(sums.similarity));
}

void add_sums(cluster::Communicator& communicator, int from, Collected& sums) {
    communicator.send(from, kSumsWanted);
    while (true) {
        const cluster::Message message = receive(communicator, kSums, from);
        ByteReader in(message.bytes, communicator.name(from));
        std::vector<std::string> weights(read_count(in, sizeof(std::uint64_t), "weights"));
        for (std::string& weight : weights) weight = read_text(in, "weight");
        if (weights.empty()) {
            for (const similarity::Kind kind : similarity::kKinds) {
                const std::uint64_t n_layers = read_count(in, sizeof(std::uint64_t), "layers");
                for (std::uint64_t layer = 0; layer < n_layers; ++layer) {
                    const auto values = read_values<double>(in, "sums");
                    if (values.size() != 4)
                        throw_error(ErrorKind::BadFile, in.where(),
                                    "{} sums of a layer's similarity, expected 4", values.size());
                    sums.similarity.add(
                        kind, static_cast<int>(layer),
                        {{values[0], values[1]}, {values[2], values[3]}, in.read<std::uint64_t>("count")});
                }
            }
            return;
        }
        imatrix::Entry entry;
        entry.width = in.read<std::uint64_t>("width");
        entry.sum_sq = read_values<double>(in, "sums");
        entry.sum_sq_low = read_values<float>(in, "sums");
        entry.sum = read_values<double>(in, "sums");
        entry.sum_low = read_values<float>(in, "sums");
        entry.counts = read_values<double>(in, "sums");
        for (const std::string& weight : weights) imatrix::add_entry(sums.matrix, weight, entry);
    }
}

}  // namespace

void gather_sums(cluster::Communicator& communicator, Collected& sums) {
    const int rank = communicator.rank();
    for (int step = 1; step < communicator.size(); step <<= 1) {
        if ((rank & step) != 0) return send_sums(communicator, rank - step, sums);
        if (rank + step < communicator.size()) add_sums(communicator, rank + step, sums);
    }
}

}  // namespace assay::calibrate
