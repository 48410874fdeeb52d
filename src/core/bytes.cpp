#include "core/bytes.h"

namespace assay {

std::span<const std::byte> ByteReader::take(std::uint64_t n, std::string_view field) {
    if (n > remaining())
        throw_error(ErrorKind::BadFile, where_, "{} at byte {} needs {} bytes, the file has {} left", field,
                    position_, n, remaining());
    const auto part = bytes_.subspan(position_, n);
    position_ += n;
    return part;
}

std::string_view ByteReader::take_text(std::uint64_t n, std::string_view field) {
    const auto part = take(n, field);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
}

void ByteReader::check_count(std::uint64_t count, std::uint64_t min_bytes, std::string_view field) const {
    if (count > remaining() / min_bytes)
        throw_error(ErrorKind::BadFile, where_, "{} {} at byte {} cannot fit the {} bytes that are left",
                    count, field, position_, remaining());
}

}  // namespace assay
