// Golden files of peers and matrices made from them.
#pragma once

#include <fstream>
#include <gtest/gtest.h>
#include <string>

#include "imatrix/file.h"

namespace assay::report {

inline std::string golden_text(const std::string& name) {
    std::ifstream in(std::string(ASSAY_GOLDEN_DIR) + "/" + name, std::ios::binary);
    EXPECT_TRUE(in) << name;
    return {(std::istreambuf_iterator<char>(in)), {}};
}

/// Nine weights of a real run of llama-imatrix.
inline imatrix::Matrix peer_matrix() {
    imatrix::Notes notes;
    return imatrix::load(std::string(ASSAY_GOLDEN_DIR) + "/imatrix/peer.gguf", {}, notes);
}

}  // namespace assay::report
