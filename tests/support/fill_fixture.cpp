// fill_fixture HEAD OUT: writes the model whose header HEAD is, so that another program can be run on it, and
// prints the two values that tests/golden/archs/manifest.json keeps of it.
#include <algorithm>
#include <cstring>
#include <exception>
#include <fmt/core.h>
#include <xxhash.h>

#include "core/file.h"
#include "gguf/file.h"
#include "support/fixture.h"

namespace {

/// Where the last tensor ends, rounded up to the alignment that all fixtures have.
std::size_t whole_size(const std::filesystem::path& head) {
    constexpr std::size_t kLargestFixture = std::size_t{256} << 20, kAlignment = 32;
    const std::string header = assay::read_file(head);
    std::vector<std::byte> bytes(std::max(header.size(), kLargestFixture));
    std::memcpy(bytes.data(), header.data(), header.size());
    std::uint64_t end = header.size();
    for (const auto& tensor : assay::gguf::parse_header(bytes, head.string()).tensors)
        end = std::max(end, tensor.offset_bytes + tensor.size_bytes);
    return (end + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: fill_fixture HEAD OUT\n");
        return 1;
    }
    try {
        const auto bytes = assay::test::fill_model(argv[1], whole_size(argv[1]), 0);
        assay::write_file_atomically(argv[2], bytes);
        fmt::print("\"file_bytes\": {}, \"xxh3_64\": \"{:016x}\"\n", bytes.size(),
                   XXH3_64bits(bytes.data(), bytes.size()));
    } catch (const std::exception& error) {
        fmt::print(stderr, "error: {}\n", error.what());
        return 1;
    }
}
