#include "gguf/writer.h"

#include "core/bytes.h"

namespace assay::gguf {

namespace {

constexpr std::size_t kAlignment = 32;

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
    while (ne.size() > 1 && ne.back() == 1) ne.pop_back();
    std::uint64_t expected = quant::row_bytes(quant::type_info(type), ne.at(0));
    for (std::size_t i = 1; i < ne.size(); ++i) expected *= ne[i];
    if (data.size() != expected)
        throw_error(ErrorKind::Shape, name, "has {} bytes of data, its type and shape ask for {}",
                    data.size(), expected);
    tensors_.push_back({std::move(name), std::move(ne), type, data});
}

std::vector<std::byte> Writer::bytes() const {
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
        offset += (tensor.data.size() + kAlignment - 1) / kAlignment * kAlignment;
    }
    out.pad(kAlignment);
    for (const Entry& tensor : tensors_) {
        out.write_bytes(tensor.data);
        out.pad(kAlignment);
    }
    return out.bytes();
}

}  // namespace assay::gguf
