// Which file lies where in memory. A mapped page that cannot be read, since its file became shorter or the
// disk failed, is told to the process as a signal with an address; this list says which file that is.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace assay {

/// Enters a mapping, before it is read. Where memory is exhausted it stays unlisted.
void list_mapping(std::span<const std::byte> bytes, const std::filesystem::path& file) noexcept;
/// Takes it out, before it is unmapped. Nothing happens where none begins there.
void unlist_mapping(const void* begin) noexcept;

/// The file that is mapped at this address; nullptr for none. May be called from a signal handler.
const char* mapped_file_at(const void* address) noexcept;

}  // namespace assay
