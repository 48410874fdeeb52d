#include "calibrate/share_chunks.h"

#include <algorithm>

#include "calibrate/messages.h"

namespace assay::calibrate {

namespace {

constexpr std::size_t kRules = static_cast<std::size_t>(engine::ScoredTokens::AllButFirst) + 1;

/// `number` as one of an enumeration's first `n` values.
template <typename T> T one_of(ByteReader& in, std::uint8_t number, std::size_t n, const char* what) {
    if (number >= n)
        throw_error(ErrorKind::BadFile, in.where(), "{} {} of the chunks is none, expected less than {}",
                    what, number, n);
    return static_cast<T>(number);
}

}  // namespace

std::vector<std::byte> pack(const Chunks& chunks) {
    ByteWriter out;
    out.write(chunks.n_ctx);
    out.write(chunks.n_tokens);
    out.write(static_cast<std::uint8_t>(chunks.scored));
    write_values(out, chunks.starts);
    write_values(out, chunks.inputs);
    write_values(out, chunks.targets);
    write_values(out, chunks.weights);
    write_values(out, chunks.roles);
    return out.bytes();
}

Chunks unpack_chunks(std::span<const std::byte> bytes) {
    ByteReader in(bytes, "rank 0");
    Chunks chunks;
    chunks.n_ctx = in.read<std::int64_t>("tokens of a chunk");
    chunks.n_tokens = in.read<std::int64_t>("tokens");
    chunks.scored = one_of<engine::ScoredTokens>(in, in.read<std::uint8_t>("rule"), kRules, "rule");
    chunks.starts = read_values<std::int64_t>(in, "starts of chunks");
    chunks.inputs = read_values<std::int32_t>(in, "tokens");
    chunks.targets = read_values<std::int32_t>(in, "tokens to predict");
    chunks.weights = read_values<float>(in, "weights of tokens");
    const auto roles = read_values<std::uint8_t>(in, "roles of tokens");
    for (const std::uint8_t role : roles)
        chunks.roles.push_back(one_of<documents::Role>(in, role, documents::kRoles.size(), "role"));
    if (in.remaining() > 0)
        throw_error(ErrorKind::BadFile, in.where(), "{} bytes are behind the chunks, expected none",
                    in.remaining());
    chunks.check();
    return chunks;
}

Chunks share_chunks(Chunks chunks, cluster::Communicator& communicator) {
    std::vector<std::byte> bytes;
    if (communicator.rank() == 0) bytes = pack(chunks);
    communicator.broadcast(bytes);
    return communicator.rank() == 0 ? std::move(chunks) : unpack_chunks(bytes);
}

}  // namespace assay::calibrate
