// Fields of messages between ranks that say their own length. What another rank sends is input: a length is
// compared with what remains before memory is taken for it, and one that cannot be is Error{BadFile}.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"

namespace assay::calibrate {

inline void write_text(ByteWriter& out, std::string_view text) {
    out.write(static_cast<std::uint64_t>(text.size()));
    out.write_text(text);
}

template <typename T> void write_values(ByteWriter& out, const std::vector<T>& values) {
    out.write(static_cast<std::uint64_t>(values.size()));
    out.write_bytes(std::as_bytes(std::span(values)));
}

/// Of things of at least `min_bytes` each; `field` names them in the error.
inline std::uint64_t read_count(ByteReader& in, std::uint64_t min_bytes, std::string_view field) {
    const auto n = in.read<std::uint64_t>(field);
    in.check_count(n, min_bytes, field);
    return n;
}

inline std::string read_text(ByteReader& in, std::string_view field) {
    return std::string(in.take_text(in.read<std::uint64_t>(field), field));
}

template <typename T> std::vector<T> read_values(ByteReader& in, std::string_view field) {
    std::vector<T> values(read_count(in, sizeof(T), field));
    const auto from = in.take(values.size() * sizeof(T), field);
    if (!values.empty()) std::memcpy(values.data(), from.data(), from.size());
    return values;
}

}  // namespace assay::calibrate
