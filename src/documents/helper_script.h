// The program of the helper process, template_helper.py, which the build puts into the library.
#pragma once

#include <string_view>

namespace assay::documents {

std::string_view helper_script() noexcept;

}  // namespace assay::documents
