// Bounds-checked reading of little-endian fields from bytes that may lie, and appending of the same.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace assay {

static_assert(std::endian::native == std::endian::little, "formats are read in place, little-endian");

/// A cursor over a file's bytes. Every read compares with what remains before it touches memory and
/// throws Error{BadFile} naming the file, the position and the field. Does not own the bytes.
class ByteReader {
  public:
    ByteReader(std::span<const std::byte> bytes, std::string where)
        : bytes_(bytes), where_(std::move(where)) {}

    std::size_t position() const noexcept { return position_; }
    std::size_t remaining() const noexcept { return bytes_.size() - position_; }
    const std::string& where() const noexcept { return where_; }

    /// One number of type T; `field` names it in the error.
    template <typename T> T read(std::string_view field) {
        static_assert(std::is_arithmetic_v<T>);
        T value;
        std::memcpy(&value, take(sizeof(T), field).data(), sizeof(T));
        return value;
    }

    /// The next `n` bytes, still owned by the underlying memory.
    std::span<const std::byte> take(std::uint64_t n, std::string_view field);
    /// The next `n` bytes as text.
    std::string_view take_text(std::uint64_t n, std::string_view field);
    /// Refuses a count of records that cannot fit what remains, each being at least `min_bytes` long.
    void check_count(std::uint64_t count, std::uint64_t min_bytes, std::string_view field) const;

  private:
    std::span<const std::byte> bytes_;
    std::size_t position_ = 0;
    std::string where_;
};

/// Appends little-endian fields to a growing buffer.
class ByteWriter {
  public:
    template <typename T> void write(T value) {
        static_assert(std::is_arithmetic_v<T>);
        const auto* first = reinterpret_cast<const std::byte*>(&value);
        bytes_.insert(bytes_.end(), first, first + sizeof(T));
    }
    void write_bytes(std::span<const std::byte> bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    void write_text(std::string_view text) { write_bytes(std::as_bytes(std::span(text))); }
    /// Zero bytes up to the next multiple of `alignment`.
    void pad(std::size_t alignment) {
        bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    }

    const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

  private:
    std::vector<std::byte> bytes_;
};

}  // namespace assay
