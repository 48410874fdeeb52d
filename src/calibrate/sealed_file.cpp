#include "calibrate/sealed_file.h"

#include <cstring>

#include "core/error.h"
#include "core/fingerprint.h"

namespace assay::calibrate {

namespace {

using Seal = std::uint64_t;

/// The bytes before the seal, when it is theirs.
std::span<const std::byte> checked(std::span<const std::byte> bytes, const std::string& where) {
    Seal seal = 0;
    if (bytes.size() < sizeof seal)
        throw_error(ErrorKind::BadFile, where, "is damaged: it has {} bytes, fewer than its checksum",
                    bytes.size());
    const auto content = bytes.first(bytes.size() - sizeof seal);
    std::memcpy(&seal, content.data() + content.size(), sizeof seal);
    if (const Seal found = fingerprint_of(content); found != seal)
        throw_error(ErrorKind::BadFile, where, "is damaged: its {} bytes have the checksum {}, expected {}",
                    content.size(), fingerprint_text(found), fingerprint_text(seal));
    return content;
}

}  // namespace

std::unique_ptr<NewFile> begin_sealed(const std::filesystem::path& path, const gguf::Writer& content) {
    auto file = std::make_unique<NewFile>(path, content.size_bytes() + sizeof(Seal));
    Fingerprint fingerprint;
    content.write([&](std::span<const std::byte> bytes) {
        fingerprint.add(bytes);
        file->write(bytes);
    });
    const Seal seal = fingerprint.value();
    file->write(std::as_bytes(std::span(&seal, 1)));
    return file;
}

SealedFile::SealedFile(const std::filesystem::path& path)
    : file_(path), header_(gguf::parse_header(checked(file_.bytes(), path.string()), path.string())) {
    for (const gguf::Tensor& tensor : header_.tensors) tensors_.emplace(tensor.name, &tensor);
}

const gguf::Tensor* SealedFile::find(std::string_view name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : found->second;
}

}  // namespace assay::calibrate
