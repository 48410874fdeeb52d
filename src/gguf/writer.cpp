#include "gguf/writer.h"

#include <array>

#include "core/bytes.h"

namespace assay::gguf {

namespace {

constexpr std::size_t kAlignment = 32;

constexpr std::uint64_t padded(std::uint64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void write_string(ByteWriter& out, const std::string& text) {
    out.write<std::uint64_t>(text.size());
    out.write_text(text);
}

void write_number(ByteWriter& out, ValueType type, std::int64_t integer, double real) {
    switch (type) {
        case ValueType::U8:
        case ValueType::I8:
        case ValueType::Bool: out.write(static_cast<std::uint8_t>(integer)); break;
        case ValueType::U16:
        case ValueType::I16: out.write(static_cast<std::uint16_t>(integer)); break;
        case ValueType::U32:
        case ValueType::I32: out.write(static_cast<std::uint32_t>(integer)); break;
        case ValueType::U64:
        case ValueType::I64: out.write(integer); break;
        case ValueType::F32: out.write(static_cast<float>(real)); break;
        case ValueType::F64: out.write(real); break;
        default: throw_error(ErrorKind::Internal, "gguf", "value type {} is no number", to_string(type));
    }
}

void write_value(ByteWriter& out, const Value& value) {
    out.write(static_cast<std::uint32_t>(value.type));
    if (const auto* text = std::get_if<std::string>(&value.data)) return write_string(out, *text);
    if (const auto* integer = std::get_if<std::int64_t>(&value.data))
        return write_number(out, value.type, *integer, 0);
    if (const auto* real = std::get_if<double>(&value.data)) return write_number(out, value.type, 0, *real);
    out.write(static_cast<std::uint32_t>(value.element));
    if (const auto* strings = std::get_if<Strings>(&value.data)) {
        out.write<std::uint64_t>(strings->size());
        for (const auto& element : *strings) write_string(out, element);
    } else if (const auto* integers = std::get_if<Integers>(&value.data)) {
        out.write<std::uint64_t>(integers->size());
        for (const auto element : *integers) write_number(out, value.element, element, 0);
    } else {
        const auto& reals = std::get<Reals>(value.data);
        out.write<std::uint64_t>(reals.size());
        for (const auto element : reals) write_number(out, value.element, 0, element);
    }
}

}  // namespace

void Writer::add_tensor(std::string name, std::vector<std::uint64_t> ne, quant::TypeId type,
                        std::span<const std::byte> data) {
    add_tensor(std::move(name), std::move(ne), type, [data](const Out& out) { out(data); });
    const Entry& added = tensors_.back();
    if (data.size() != added.size_bytes)
        throw_error(ErrorKind::Shape, added.name, "has {} bytes of data, its type and shape ask for {}",
                    data.size(), added.size_bytes);
}

void Writer::add_tensor(std::string name, std::vector<std::uint64_t> ne, quant::TypeId type,
                        std::function<void(const Out&)> put) {
    while (ne.size() > 1 && ne.back() == 1) ne.pop_back();
    std::uint64_t size_bytes = quant::row_bytes(quant::type_info(type), ne.at(0));
    for (std::size_t i = 1; i < ne.size(); ++i) size_bytes *= ne[i];
    tensors_.push_back({std::move(name), std::move(ne), type, size_bytes, std::move(put)});
}

std::vector<std::byte> Writer::header() const {
    ByteWriter out;
    out.write_text("GGUF");
    out.write<std::uint32_t>(3);
    out.write<std::uint64_t>(tensors_.size());
    out.write<std::uint64_t>(pairs_.size());
    for (const auto& [key, value] : pairs_) {
        write_string(out, key);
        write_value(out, value);
    }
    std::uint64_t offset = 0;
    for (const Entry& tensor : tensors_) {
        write_string(out, tensor.name);
        out.write(static_cast<std::uint32_t>(tensor.ne.size()));
        for (const std::uint64_t n : tensor.ne) out.write(n);
        out.write(static_cast<std::uint32_t>(tensor.type));
        out.write(offset);
        offset += padded(tensor.size_bytes);
    }
    out.pad(kAlignment);
    return out.bytes();
}

std::uint64_t Writer::size_bytes() const {
    std::uint64_t size = header().size();
    for (const Entry& tensor : tensors_) size += padded(tensor.size_bytes);
    return size;
}

void Writer::write(const Out& out) const {
    constexpr std::array<std::byte, kAlignment> kZeros{};
    out(header());
    for (const Entry& tensor : tensors_) {
        std::uint64_t given = 0;
        tensor.put([&](std::span<const std::byte> bytes) {
            given += bytes.size();
            out(bytes);
        });
        if (given != tensor.size_bytes)
            throw_error(ErrorKind::Internal, tensor.name, "gave {} bytes, expected {}", given,
                        tensor.size_bytes);
        out(std::span(kZeros).first(padded(given) - given));
    }
}

std::vector<std::byte> Writer::bytes() const {
    std::vector<std::byte> all;
    all.reserve(size_bytes());
    write([&](std::span<const std::byte> piece) { all.insert(all.end(), piece.begin(), piece.end()); });
    return all;
}

}  // namespace assay::gguf
