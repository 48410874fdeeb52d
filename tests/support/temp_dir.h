// A folder of its own for each test, gone afterwards.
#pragma once

#include <filesystem>
#include <string_view>

namespace assay::test {

/// Made under the system's temporary folder with a name no other process has, so that tests may run side by
/// side; removed with all it holds by the destructor. Move-only.
class TempDir {
  public:
    /// Throws Error{Io} when the folder cannot be made.
    TempDir();
    ~TempDir();
    TempDir(TempDir&& other) noexcept;
    TempDir& operator=(TempDir&& other) noexcept;

    const std::filesystem::path& path() const noexcept { return path_; }
    /// The path of `name` inside.
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  private:
    void remove() noexcept;

    std::filesystem::path path_;
};

}  // namespace assay::test
