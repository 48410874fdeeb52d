// The one exception type of the program. Throw what ends the run; return what is expected.
#pragma once

#include <exception>
#include <fmt/format.h>
#include <string>
#include <string_view>

namespace assay {

enum class ErrorKind {
    Usage,         ///< the command line asks for something impossible
    Io,            ///< the operating system refused: missing, no permission, disk full
    BadFile,       ///< a file's content contradicts its format or itself
    Unsupported,   ///< valid, but this program does not do it
    Shape,         ///< tensor dimensions do not fit together
    Device,        ///< an accelerator or a vendor library failed
    DeviceMemory,  ///< an accelerator has not the memory that was asked for: less may do
    Numeric,       ///< NaN or infinity where numbers are needed
    Internal,      ///< our fault
};

/// One sentence for the user: where (a path, an option, a tensor) and what was found and expected.
class Error : public std::exception {
  public:
    Error(ErrorKind kind, std::string_view where, std::string_view message);

    ErrorKind kind() const noexcept { return kind_; }
    const std::string& where() const noexcept { return where_; }
    const std::string& message() const noexcept { return message_; }
    /// "where: message", or the message alone when where is empty.
    const char* what() const noexcept override { return what_.c_str(); }

  private:
    ErrorKind kind_;
    std::string where_;
    std::string message_;
    std::string what_;
};

/// throw_error(ErrorKind::BadFile, path, "tensor {} ends at byte {}", name, end)
template <typename... Args>
[[noreturn]] void throw_error(ErrorKind kind, std::string_view where, fmt::format_string<Args...> format,
                              Args&&... args) {
    throw Error(kind, where, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace assay
