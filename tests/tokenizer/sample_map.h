// Character maps for tests, in the form that files carry.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gguf/metadata.h"

namespace assay::tokenizer {

/// Lays rules out as a double array: each node of the tree of texts gets a place of its own for its children.
/// Wasteful (256 nodes to each) and therefore simple.
class SampleMap {
  public:
    void add(const std::string& from, const std::string& to) {
        std::uint32_t block = 0;
        for (std::size_t i = 0; i < from.size(); ++i) {
            const auto byte = static_cast<unsigned char>(from[i]);
            const auto key = std::make_pair(block, byte);
            if (children_.count(key) == 0) children_[key] = ++n_blocks_;
            const bool last = i + 1 == from.size();
            if (last) ends_[key] = static_cast<std::uint32_t>(texts_.size());
            block = children_[key];
        }
        texts_.append(to).push_back('\0');
    }

    std::vector<std::uint32_t> nodes() const {
        // Block b is the 256 nodes from 256 (b + 1) on: a child of it lies at 256 (b + 1) XOR its byte.
        std::vector<std::uint32_t> nodes(256 * (n_blocks_ + 2), 0x80000000);
        nodes[0] = reference(256);
        for (const auto& [key, child] : children_) {
            const auto& [block, byte] = key;
            const std::uint32_t index = 256 * (block + 1) ^ byte;
            const std::uint32_t target = 256 * (child + 1);
            const auto end = ends_.find(key);
            nodes[index] = reference(index ^ target) | byte | (end == ends_.end() ? 0 : 0x100);
            if (end != ends_.end()) nodes[target] = 0x80000000 | end->second;
        }
        return nodes;
    }
    const std::string& texts() const { return texts_; }

    /// A node's reference to `base`, below 2^21 or a multiple of 256.
    static std::uint32_t reference(std::uint32_t base) {
        return base < 1 << 21 ? base << 10 : (base >> 8) << 10 | 0x200;
    }

  private:
    std::map<std::pair<std::uint32_t, unsigned char>, std::uint32_t> children_;
    std::map<std::pair<std::uint32_t, unsigned char>, std::uint32_t> ends_;
    std::uint32_t n_blocks_ = 0;
    std::string texts_;
};

inline gguf::Value map_value(std::uint32_t n_node_bytes, const std::vector<std::uint32_t>& nodes,
                             const std::string& texts) {
    gguf::Integers bytes;
    const auto put = [&](std::uint32_t word) {
        for (int shift = 0; shift < 32; shift += 8) bytes.push_back(word >> shift & 0xFF);
    };
    put(n_node_bytes);
    for (const std::uint32_t node : nodes) put(node);
    for (const char c : texts) bytes.push_back(static_cast<unsigned char>(c));
    return {gguf::ValueType::Array, gguf::ValueType::U8, std::move(bytes)};
}

inline gguf::Value map_value(const SampleMap& map) {
    const auto nodes = map.nodes();
    return map_value(static_cast<std::uint32_t>(4 * nodes.size()), nodes, map.texts());
}

}  // namespace assay::tokenizer
