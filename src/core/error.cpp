#include "core/error.h"

namespace assay {

Error::Error(ErrorKind kind, std::string_view where, std::string_view message)
    : kind_(kind),
      where_(where),
      message_(message),
      what_(where.empty() ? std::string(message) : fmt::format("{}: {}", where, message)) {}

}  // namespace assay
