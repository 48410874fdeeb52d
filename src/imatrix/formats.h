// The two layouts behind file.h. Private to the room.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "imatrix/file.h"

namespace assay::imatrix {

Matrix parse_gguf(std::span<const std::byte> bytes, const std::string& where, const LoadOptions& options,
                  Notes& notes);
Matrix parse_legacy(std::span<const std::byte> bytes, const std::string& where, const LoadOptions& options,
                    Notes& notes);
FileContent gguf_content(const Matrix& matrix, Format format, Notes& notes);
FileContent legacy_content(const Matrix& matrix, Notes& notes);

/// `value` as F32. Throws Error{Numeric} when it is not finite there.
float narrow(double value, const std::string& name);

}  // namespace assay::imatrix
