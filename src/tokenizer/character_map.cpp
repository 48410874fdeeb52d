#include "tokenizer/character_map.h"

#include <algorithm>

#include "core/error.h"

namespace assay::tokenizer {
namespace {

constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";

// Bounds on what is believed. SentencePiece's largest own map has 230,000 rules; no text in it is longer than
// 33 bytes.
constexpr std::size_t kMaxFromBytes = 128;
constexpr std::size_t kMaxToBytes = 1024;
constexpr std::size_t kMaxVisits = 1 << 22;
constexpr std::size_t kMaxTextBytes = 1 << 27;  ///< of all rules

class Reader {
  public:
    Reader(const gguf::Integers& values, const std::string& where) : where_(where) {
        for (const std::int64_t value : values) blob_ += static_cast<char>(value & 0xFF);
        if (blob_.size() < 4) fail("has {} bytes, too few for its header", blob_.size());
        const std::size_t n_bytes = word(0);
        const std::size_t n_behind = blob_.size() - 4;
        if (n_bytes > n_behind || n_bytes % 4 != 0)
            fail("announces {} bytes of nodes, expected a multiple of 4 and at most {}", n_bytes, n_behind);
        n_nodes_ = n_bytes / 4;
        texts_ = std::string_view(blob_).substr(4 + n_bytes);
        if (n_nodes_ == 0) fail("has no nodes");
        if (!texts_.empty() && texts_.back() != '\0') fail("ends inside a text");
    }

    std::vector<CharacterRule> rules() {
        std::string from;
        visit(base(node(0)), from);
        return std::move(rules_);
    }

  private:
    template <typename... Args>
    [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
        throw_error(ErrorKind::BadFile, where_, "{} {}", kKey,
                    fmt::format(format, std::forward<Args>(args)...));
    }

    std::uint32_t word(std::size_t byte) const {
        std::uint32_t value = 0;
        for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(blob_[byte + i]);
        return value;
    }
    std::uint32_t node(std::size_t index) const {
        if (index >= n_nodes_) fail("leads to node {} of {}", index, n_nodes_);
        return word(4 + 4 * index);
    }
    static std::uint32_t base(std::uint32_t node) { return (node >> 10) << ((node & 0x200) >> 6); }

    /// The rules that begin with `from`; the children of the node that it leads to lie around `children`.
    void visit(std::uint32_t children, std::string& from) {
        if (++n_visits_ > kMaxVisits) fail("has more than {} nodes below its root", kMaxVisits);
        for (std::uint32_t byte = 1; byte < 256; ++byte) {
            const std::uint32_t index = children ^ byte;
            if (index >= n_nodes_) continue;
            const std::uint32_t child = node(index);
            if ((child & 0x800000FF) != byte) continue;
            if (from.size() == kMaxFromBytes)
                fail("has a rule for a text of more than {} bytes, or runs in circles", kMaxFromBytes);
            from += static_cast<char>(byte);
            const std::uint32_t next = index ^ base(child);
            if ((child & 0x100) != 0) add(from, node(next) & 0x7FFFFFFF);
            visit(next, from);
            from.pop_back();
        }
    }

    void add(const std::string& from, std::size_t begin) {
        if (begin >= texts_.size()) fail("puts in the text at byte {} of {}", begin, texts_.size());
        const std::string_view to = texts_.substr(begin, texts_.find('\0', begin) - begin);
        if (to.size() > kMaxToBytes)
            fail("puts in a text of {} bytes, at most {} are expected", to.size(), kMaxToBytes);
        n_text_bytes_ += from.size() + to.size();
        if (n_text_bytes_ > kMaxTextBytes) fail("has rules of more than {} bytes", kMaxTextBytes);
        rules_.push_back({from, std::string(to)});
    }

    const std::string& where_;
    std::string blob_;
    std::size_t n_nodes_ = 0;
    std::string_view texts_;
    std::size_t n_visits_ = 0;
    std::size_t n_text_bytes_ = 0;
    std::vector<CharacterRule> rules_;
};

}  // namespace

std::vector<CharacterRule> read_character_map(const gguf::Metadata& metadata) {
    const gguf::Integers* values = metadata.find_integers(kKey);
    if (values == nullptr) return {};
    const gguf::ValueType element = metadata.find(kKey)->element;
    if (element != gguf::ValueType::U8 && element != gguf::ValueType::I8)
        throw_error(ErrorKind::BadFile, metadata.where(), "{} holds {}, expected bytes", kKey,
                    gguf::to_string(element));
    return Reader(*values, metadata.where()).rules();
}

}  // namespace assay::tokenizer
