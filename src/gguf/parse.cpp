#include <bit>
#include <cstring>
#include <limits>
#include <set>

#include "core/bytes.h"
#include "core/content.h"
#include "gguf/file.h"
#include "gguf/limits.h"

namespace assay::gguf {

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kDefaultAlignment = 32;
// The smallest records: key length, one byte of key, type, one byte of value; name length, dims, type,
// offset.
constexpr std::uint64_t kMinPairBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;

std::uint64_t scalar_bytes(ValueType type) {
    switch (type) {
        case ValueType::U8:
        case ValueType::I8:
        case ValueType::Bool: return 1;
        case ValueType::U16:
        case ValueType::I16: return 2;
        case ValueType::U32:
        case ValueType::I32:
        case ValueType::F32: return 4;
        case ValueType::U64:
        case ValueType::I64:
        case ValueType::F64: return 8;
        case ValueType::String: return 8;  // at least its length
        case ValueType::Array: break;
    }
    return 0;
}

bool is_real(ValueType type) { return type == ValueType::F32 || type == ValueType::F64; }

/// Refuses what no file in use has, before memory is taken for it.
void check_limit(std::uint64_t count, std::uint64_t most, const std::string& what, const std::string& where) {
    if (count > most)
        throw_error(ErrorKind::BadFile, where, "has {} {}, expected at most {}", count, what, most);
}

std::string read_string(ByteReader& in, std::string_view field) {
    const auto length = in.read<std::uint64_t>(field);
    return std::string(in.take_text(length, field));
}

std::int64_t read_integer(ByteReader& in, ValueType type, std::string_view field) {
    switch (type) {
        case ValueType::U8: return in.read<std::uint8_t>(field);
        case ValueType::I8: return in.read<std::int8_t>(field);
        case ValueType::U16: return in.read<std::uint16_t>(field);
        case ValueType::I16: return in.read<std::int16_t>(field);
        case ValueType::U32: return in.read<std::uint32_t>(field);
        case ValueType::I32: return in.read<std::int32_t>(field);
        case ValueType::Bool: return in.read<std::uint8_t>(field) != 0;
        case ValueType::U64: return static_cast<std::int64_t>(in.read<std::uint64_t>(field));
        default: return in.read<std::int64_t>(field);
    }
}

double read_real(ByteReader& in, ValueType type, std::string_view field) {
    return type == ValueType::F32 ? double{in.read<float>(field)} : in.read<double>(field);
}

ValueType read_type(ByteReader& in, const std::string& key) {
    const auto id = in.read<std::uint32_t>("value type");
    if (id > static_cast<std::uint32_t>(ValueType::F64))
        throw_error(ErrorKind::BadFile, in.where(), "metadata key {} has value type {}, expected 0 to 12",
                    key, id);
    return static_cast<ValueType>(id);
}

Value read_array(ByteReader& in, const std::string& key) {
    Value value{ValueType::Array, read_type(in, key), {}};
    if (value.element == ValueType::Array)
        throw_error(ErrorKind::BadFile, in.where(),
                    "metadata key {} is an array of arrays, which GGUF readers refuse", key);
    const auto n = in.read<std::uint64_t>(key);
    in.check_count(n, scalar_bytes(value.element), "elements of " + key);
    if (value.element == ValueType::String || scalar_bytes(value.element) < sizeof(float))
        check_limit(n, limits::kSmallElements, "elements of " + key, in.where());
    if (value.element == ValueType::String) {
        Strings strings;
        strings.reserve(n);
        for (std::uint64_t i = 0; i < n; ++i) strings.push_back(read_string(in, key));
        value.data = std::move(strings);
    } else if (is_real(value.element)) {
        Reals reals(n);
        for (double& real : reals) real = read_real(in, value.element, key);
        value.data = std::move(reals);
    } else {
        Integers integers(n);
        for (auto& integer : integers) integer = read_integer(in, value.element, key);
        value.data = std::move(integers);
    }
    return value;
}

void read_pair(ByteReader& in, Metadata& metadata) {
    std::string key = read_string(in, "metadata key");
    if (key.empty())
        throw_error(ErrorKind::BadFile, in.where(), "empty metadata key at byte {}", in.position());
    const ValueType type = read_type(in, key);
    Value value{type, type, {}};
    if (type == ValueType::Array)
        value = read_array(in, key);
    else if (type == ValueType::String)
        value.data = read_string(in, key);
    else if (is_real(type))
        value.data = read_real(in, type, key);
    else
        value.data = read_integer(in, type, key);
    if (!metadata.insert(key, std::move(value)))
        throw_error(ErrorKind::BadFile, in.where(), "metadata key {} occurs twice", key);
}

/// Total bytes, every product compared before it is formed.
std::uint64_t tensor_bytes(const Tensor& tensor, const std::string& where) {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t elements = 1;
    for (const std::uint64_t n : tensor.ne) {
        if (n == 0 || n > kMax / elements)
            throw_error(ErrorKind::BadFile, where,
                        "tensor {} has shape {}, expected positive dimensions below 2^63", tensor.name,
                        tensor.shape_text());
        elements *= n;
    }
    if (tensor.ne[0] % tensor.type->block != 0)
        throw_error(ErrorKind::BadFile, where,
                    "tensor {} of type {} has rows of {}, expected a multiple of {}", tensor.name,
                    tensor.type->name, tensor.ne[0], tensor.type->block);
    const quant::TypeInfo& type = *tensor.type;
    if (tensor.ne[1] % type.group_rows != 0)
        throw_error(ErrorKind::BadFile, where, "tensor {} of type {} has {} rows, expected a multiple of {}",
                    tensor.name, type.name, tensor.ne[1], type.group_rows);
    const std::uint64_t rows = tensor.ne[1] * tensor.ne[2] * tensor.ne[3];
    const std::uint64_t blocks = tensor.ne[0] / type.block;
    const std::uint64_t most_bytes = kMax / rows;  // of a row
    if (type.row_meta > most_bytes || blocks > (most_bytes - type.row_meta) / type.block_bytes)
        throw_error(ErrorKind::BadFile, where, "tensor {} with shape {} is larger than any file", tensor.name,
                    tensor.shape_text());
    return rows * (type.row_meta + blocks * type.block_bytes);
}

Tensor read_tensor(ByteReader& in) {
    Tensor tensor;
    tensor.name = read_string(in, "tensor name");
    if (tensor.name.empty() || tensor.name.size() > limits::kNameBytes)
        throw_error(ErrorKind::BadFile, in.where(), "a tensor name has {} bytes, expected 1 to {}",
                    tensor.name.size(), limits::kNameBytes);
    tensor.n_dims = in.read<std::uint32_t>("number of dimensions");
    static_assert(std::tuple_size_v<decltype(tensor.ne)> == limits::kDimensions);
    if (tensor.n_dims > limits::kDimensions)
        throw_error(ErrorKind::BadFile, in.where(), "tensor {} has {} dimensions, expected at most {}",
                    tensor.name, tensor.n_dims, limits::kDimensions);
    for (std::uint32_t i = 0; i < tensor.n_dims; ++i) tensor.ne[i] = in.read<std::uint64_t>("dimension");
    const auto id = in.read<std::uint32_t>("tensor type");
    tensor.type = quant::find_type(id);
    if (tensor.type == nullptr)
        throw_error(ErrorKind::Unsupported, in.where(),
                    "tensor {} has type id {}, which this version does not know", tensor.name, id);
    tensor.offset_bytes = in.read<std::uint64_t>("tensor offset");
    tensor.size_bytes = tensor_bytes(tensor, in.where());
    return tensor;
}

void check_version(std::uint32_t version, const std::string& where) {
    if (version == 2 || version == 3) return;
    if ((version & 0xffffu) == 0 && version != 0)
        throw_error(ErrorKind::Unsupported, where,
                    "is a big-endian GGUF file; only little-endian ones are read");
    if (version == 1)
        throw_error(ErrorKind::Unsupported, where,
                    "is GGUF version 1, expected 2 or 3; convert it with a newer tool");
    throw_error(ErrorKind::Unsupported, where, "is GGUF version {}, expected 2 or 3", version);
}

std::uint64_t alignment_of(const Metadata& metadata) {
    const auto alignment = metadata.find_integer("general.alignment");
    if (!alignment) return kDefaultAlignment;
    if (*alignment <= 0 || *alignment > limits::kAlignment ||
        !std::has_single_bit(static_cast<std::uint64_t>(*alignment)))
        throw_error(ErrorKind::BadFile, metadata.where(), "general.alignment is {}, expected a power of two",
                    *alignment);
    return static_cast<std::uint64_t>(*alignment);
}

/// Turns offsets into the data section into offsets into the file, none past its end.
void place_tensors(std::vector<Tensor>& tensors, std::uint64_t data_start, std::uint64_t file_size,
                   const std::string& where) {
    const std::uint64_t available = data_start < file_size ? file_size - data_start : 0;
    for (Tensor& tensor : tensors) {
        if (tensor.size_bytes > available || tensor.offset_bytes > available - tensor.size_bytes)
            throw_error(
                ErrorKind::BadFile, where,
                "tensor {} needs {} bytes at offset {} of the data, which has {}; the file is truncated or "
                "its header lies",
                tensor.name, tensor.size_bytes, tensor.offset_bytes, available);
        tensor.offset_bytes += data_start;
    }
}

[[noreturn]] void refuse_other(std::span<const std::byte> bytes, const std::string& where) {
    if (const std::string_view name = recognise(bytes).name; !name.empty())
        throw_error(ErrorKind::BadFile, where, "is not a GGUF file but {}", name);
    throw_error(ErrorKind::BadFile, where, "is not a GGUF file: it does not begin with \"GGUF\"");
}

}  // namespace

bool has_magic(std::span<const std::byte> bytes) noexcept {
    return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Header parse_header(std::span<const std::byte> bytes, const std::string& where) {
    if (!has_magic(bytes)) refuse_other(bytes, where);
    ByteReader in(bytes, where);
    in.take(kMagic.size(), "magic");
    Header header;
    header.version = in.read<std::uint32_t>("version");
    check_version(header.version, where);
    const auto n_tensors = in.read<std::uint64_t>("number of tensors");
    const auto n_pairs = in.read<std::uint64_t>("number of metadata pairs");
    in.check_count(n_pairs, kMinPairBytes, "metadata pairs");
    check_limit(n_pairs, limits::kPairs, "metadata pairs", where);
    header.metadata = Metadata(where);
    for (std::uint64_t i = 0; i < n_pairs; ++i) read_pair(in, header.metadata);
    in.check_count(n_tensors, kMinTensorBytes, "tensors");
    check_limit(n_tensors, limits::kTensors, "tensors", where);
    header.tensors.reserve(n_tensors);
    std::set<std::string_view> names;
    for (std::uint64_t i = 0; i < n_tensors; ++i) {
        header.tensors.push_back(read_tensor(in));
        if (!names.insert(header.tensors.back().name).second)
            throw_error(ErrorKind::BadFile, where, "tensor {} occurs twice", header.tensors.back().name);
    }
    const std::uint64_t alignment = alignment_of(header.metadata);
    const std::uint64_t data_start = (in.position() + alignment - 1) / alignment * alignment;
    place_tensors(header.tensors, data_start, bytes.size(), where);
    return header;
}

}  // namespace assay::gguf
