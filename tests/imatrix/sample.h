// Small matrices for the tests of the room.
#pragma once

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "core/error.h"
#include "imatrix/file.h"

namespace assay::imatrix {

inline std::vector<std::byte> golden_bytes(const std::string& name) {
    std::ifstream in(std::string(ASSAY_GOLDEN_DIR) + "/imatrix/" + name, std::ios::binary);
    EXPECT_TRUE(in) << name;
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto* first = reinterpret_cast<const std::byte*>(text.data());
    return {first, first + text.size()};
}

/// Two chunks of 4 tokens: a dense weight, three experts of which one saw nothing, and two heads.
inline Matrix sample() {
    Matrix matrix;
    matrix.chunk_size = 4;
    matrix.chunk_count = 2;
    matrix.datasets = {"a.txt", "b.txt"};
    matrix.entries["blk.0.attn_q.weight"] = {3, {8, 16, 0.5}, {-1, 2, 0}, {8}};
    matrix.entries["blk.0.ffn_up_exps.weight"] = {2, {3, 6, 0, 0, 5, 10}, {1, 1, 0, 0, 2, 2}, {3, 0, 5}};
    matrix.entries["blk.0.attn_k_b.weight"] = {2, {1, 2, 3, 4}, {}, {8}};
    return matrix;
}

/// The message of the Error that `call` throws, or "" when it does not.
template <typename Call> std::string message_of(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

}  // namespace assay::imatrix
