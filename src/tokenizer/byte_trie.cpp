#include "tokenizer/byte_trie.h"

namespace assay::tokenizer {

ByteTrie::ByteTrie(std::vector<Key> keys) {
    std::stable_sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.text < b.text; });

    // The keys below a node are a range of the sorted ones; at depth d they differ from byte d on.
    struct Range {
        std::size_t begin, end, depth;
    };
    std::vector<Range> ranges{{0, keys.size(), 0}};
    bytes_.push_back(0);
    for (std::size_t node = 0; node < ranges.size(); ++node) {
        auto [begin, end, depth] = ranges[node];
        nodes_.push_back({static_cast<std::uint32_t>(ranges.size()), kNone});
        for (; begin < end && keys[begin].text.size() == depth; ++begin)
            if (depth > 0) nodes_.back().value = keys[begin].value;
        while (begin < end) {
            const char next = keys[begin].text[depth];
            std::size_t stop = begin + 1;
            while (stop < end && keys[stop].text[depth] == next) ++stop;
            ranges.push_back({begin, stop, depth + 1});
            bytes_.push_back(static_cast<std::uint8_t>(next));
            begin = stop;
        }
    }
    nodes_.push_back({static_cast<std::uint32_t>(ranges.size()), kNone});

    root_.fill(kNone);
    for (std::uint32_t node = first_child(kRoot); node < end_child(kRoot); ++node) root_[byte(node)] = node;
}

}  // namespace assay::tokenizer
