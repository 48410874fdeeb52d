// Any bytes as the header of a model: refused with an Error, or what it says lies inside the bytes. A header
// that is accepted also goes to the description of the model and to its tokenizer, which may refuse it.
#include <cstdlib>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "gguf/file.h"
#include "model/registry.h"
#include "tokenizer/tokenizer.h"

namespace {

/// A file in memory that others can open by path.
class MemoryFile {
  public:
    MemoryFile(const std::uint8_t* data, std::size_t size) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
        if (fd_ < 0 || ::write(fd_, data, size) != static_cast<ssize_t>(size)) std::abort();
    }
    ~MemoryFile() { ::close(fd_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  private:
    int fd_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace assay;
    const MemoryFile memory(data, size);
    std::optional<gguf::File> file;
    try {
        file.emplace(gguf::File::open(memory.path()));
    } catch (const Error&) {
        return 0;
    }
    for (const gguf::Tensor& tensor : file->tensors()) {
        const auto bytes = file->data(tensor);
        if (bytes.size() != tensor.size_bytes || tensor.rows() * tensor.row_bytes() != tensor.size_bytes)
            std::abort();
        if (!bytes.empty()) (void)*static_cast<const volatile std::byte*>(&bytes.back());  // mapped?
    }
    try {
        (void)model::build(*file, {512});
    } catch (const Error&) {
    }
    try {
        (void)tokenizer::make_tokenizer(file->metadata());
    } catch (const Error&) {
    }
    return 0;
}
