// A tree of byte strings: which of a set of keys does a text begin with?
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace assay::tokenizer {

class ByteTrie {
  public:
    static constexpr std::uint32_t kRoot = 0;
    static constexpr std::uint32_t kNone = 0xFFFFFFFF;

    struct Key {
        std::string_view text;    ///< needed only while the tree is built; an empty one is passed over
        std::uint32_t value = 0;  ///< below kNone
    };
    /// Of equal texts the last one counts. Time: that of sorting the keys, plus linear in their bytes.
    explicit ByteTrie(std::vector<Key> keys);

    /// Nodes are numbered breadth first: a parent comes before its children, which lie side by side in the
    /// order of their bytes.
    std::size_t size() const noexcept { return nodes_.size() - 1; }
    std::uint32_t value(std::uint32_t node) const { return nodes_[node].value; }
    std::uint32_t first_child(std::uint32_t node) const { return nodes_[node].first_child; }
    std::uint32_t end_child(std::uint32_t node) const { return nodes_[node + 1].first_child; }
    /// The byte on the way from its parent to `node`.
    std::uint8_t byte(std::uint32_t node) const { return bytes_[node]; }

    /// kNone when no key goes on with `next`.
    std::uint32_t child(std::uint32_t node, std::uint8_t next) const {
        if (node == kRoot) return root_[next];
        const std::uint32_t first = first_child(node);
        const auto* found = static_cast<const std::uint8_t*>(
            std::memchr(bytes_.data() + first, next, end_child(node) - first));
        return found == nullptr ? kNone : static_cast<std::uint32_t>(found - bytes_.data());
    }

    /// visit(n_bytes, value) for each key that `text` begins with, shortest first.
    template <typename Visit> void for_each_prefix(std::string_view text, Visit visit) const {
        std::uint32_t node = kRoot;
        for (std::size_t i = 0; i < text.size(); ++i) {
            node = child(node, static_cast<std::uint8_t>(text[i]));
            if (node == kNone) return;
            if (value(node) != kNone) visit(i + 1, value(node));
        }
    }

    struct Match {
        std::size_t n_bytes = 0;  ///< 0: `text` begins with no key
        std::uint32_t value = kNone;
    };
    Match longest_prefix(std::string_view text) const {
        Match longest;
        for_each_prefix(text, [&](std::size_t n_bytes, std::uint32_t value) { longest = {n_bytes, value}; });
        return longest;
    }

  private:
    struct Node {
        std::uint32_t first_child;
        std::uint32_t value;
    };

    std::vector<Node> nodes_;          ///< one more than there are, for end_child() of the last
    std::vector<std::uint8_t> bytes_;  ///< by node
    std::array<std::uint32_t, 256> root_;
};

}  // namespace assay::tokenizer
