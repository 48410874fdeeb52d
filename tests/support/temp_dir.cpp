#include "support/temp_dir.h"

#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace assay::test {

TempDir::TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "assay-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
        throw_error(ErrorKind::Io, name, "cannot make a temporary folder: {}",
                    std::generic_category().message(errno));
    path_ = name;
}

TempDir::~TempDir() { remove(); }

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::exchange(other.path_, {});
    }
    return *this;
}

void TempDir::remove() noexcept {
    std::error_code ignored;  // a folder left behind must not turn a test's result around
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace assay::test
