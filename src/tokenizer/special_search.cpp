#include "tokenizer/special_search.h"

#include <algorithm>
#include <map>

namespace assay::tokenizer {
namespace {

/// White space of the C locale, whatever the program's locale is.
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

SpecialSearch::SpecialSearch(const Vocabulary& vocabulary, bool parse_special) {
    collect(vocabulary, parse_special);
    build_tree();
    link_failures();
}

void SpecialSearch::collect(const Vocabulary& vocabulary, bool parse_special) {
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
        const auto id = static_cast<Token>(i);
        const Attributes attributes = vocabulary.attributes(id);
        if ((attributes & (kControl | kUserDefined | kUnknown)) == 0) continue;
        if (!parse_special && (attributes & (kControl | kUnknown)) != 0) continue;
        if (vocabulary.find(vocabulary.text(id)) != id) continue;
        candidates_.push_back({vocabulary.text(id), id, attributes});
    }
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.text.size() > b.text.size(); });
}

void SpecialSearch::build_tree() {
    std::vector<std::map<std::uint8_t, std::uint32_t>> children(1);
    nodes_.resize(1);
    for (std::size_t rank = 0; rank < candidates_.size(); ++rank) {
        const std::string& text = candidates_[rank].text;
        std::uint32_t node = 0;
        for (auto c = text.rbegin(); c != text.rend(); ++c) {
            const auto [it, added] = children[node].emplace(static_cast<std::uint8_t>(*c),
                                                            static_cast<std::uint32_t>(nodes_.size()));
            node = it->second;
            if (added) {
                nodes_.emplace_back();
                children.emplace_back();
            }
        }
        nodes_[node].match = static_cast<Rank>(rank);
    }
    root_children_.assign(256, 0);
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
        nodes_[node].first_edge = static_cast<std::uint32_t>(edges_.size());
        nodes_[node].n_edges = static_cast<std::uint32_t>(children[node].size());
        for (const auto& [byte, target] : children[node]) edges_.push_back({byte, target});
    }
    for (const auto& [byte, target] : children[0]) root_children_[byte] = target;
}

std::uint32_t SpecialSearch::child(std::uint32_t node, std::uint8_t byte) const {
    if (node == 0) return root_children_[byte] == 0 ? kNone : root_children_[byte];
    const auto first = edges_.begin() + nodes_[node].first_edge;
    const auto last = first + nodes_[node].n_edges;
    const auto it =
        std::lower_bound(first, last, byte, [](const Edge& e, std::uint8_t b) { return e.byte < b; });
    return it != last && it->byte == byte ? it->node : kNone;
}

// Breadth first, so that a node's failure link, which is less deep, is complete before the node.
void SpecialSearch::link_failures() {
    std::vector<std::uint32_t> queue{0};
    for (std::size_t i = 0; i < queue.size(); ++i) {
        const std::uint32_t parent = queue[i];
        for (std::uint32_t e = 0; e < nodes_[parent].n_edges; ++e) {
            const Edge edge = edges_[nodes_[parent].first_edge + e];
            Node& node = nodes_[edge.node];
            std::uint32_t fail = parent;
            std::uint32_t target = kNone;
            while (target == kNone && fail != 0) {
                fail = nodes_[fail].fail;
                target = child(fail, edge.byte);
            }
            node.fail = target == kNone ? 0 : target;
            const Node& suffix = nodes_[node.fail];
            const std::uint32_t nearest = suffix.match != kNone ? node.fail : suffix.shorter;
            node.shorter = nearest;
            queue.push_back(edge.node);
        }
    }
}

/// Every byte at which some candidate begins, first byte first, with the node of the longest one.
std::vector<SpecialSearch::Place> SpecialSearch::find_places(std::string_view text) const {
    std::vector<Place> places;
    std::uint32_t node = 0;
    for (std::size_t i = text.size(); i-- > 0;) {
        const auto byte = static_cast<std::uint8_t>(text[i]);
        std::uint32_t next = child(node, byte);
        while (next == kNone && node != 0) {
            node = nodes_[node].fail;
            next = child(node, byte);
        }
        node = next == kNone ? 0 : next;
        const std::uint32_t found = nodes_[node].match != kNone ? node : nodes_[node].shorter;
        if (found != kNone) places.push_back({static_cast<std::uint32_t>(i), found});
    }
    std::reverse(places.begin(), places.end());
    return places;
}

/// Hands out the bytes of one text.
class SpecialSearch::Selection {
  public:
    Selection(const SpecialSearch& search, std::string_view text)
        : search_(search), text_(text), taken_(text.size()), waiting_(search.candidates_.size()) {}

    /// The claims in order of position; `taken` afterwards also marks stripped bytes.
    std::vector<Claim> run(const std::vector<Place>& places) {
        for (const Place& place : places) waiting_[search_.nodes_[place.node].match].push_back(place);
        for (Rank rank = 0; rank < waiting_.size(); ++rank) {
            auto& queue = waiting_[rank];
            // Places that stepped down arrive behind those found at once.
            std::sort(queue.begin(), queue.end(),
                      [](const Place& a, const Place& b) { return a.begin_byte < b.begin_byte; });
            for (const Place& place : queue) try_claim(rank, place);
            queue = {};
        }
        std::sort(claims_.begin(), claims_.end(),
                  [](const Claim& a, const Claim& b) { return a.begin_byte < b.begin_byte; });
        return std::move(claims_);
    }

    bool is_taken(std::size_t byte) const { return taken_[byte]; }

  private:
    void try_claim(Rank rank, const Place& place) {
        const Candidate& candidate = search_.candidates_[rank];
        const std::size_t begin = place.begin_byte;
        const std::size_t end = begin + candidate.text.size();
        if (taken_[begin]) return;
        const auto first = taken_.begin() + static_cast<std::ptrdiff_t>(begin);
        const auto last = taken_.begin() + static_cast<std::ptrdiff_t>(end);
        const auto blocked = std::find(first, last, true);
        if (blocked != last) {
            step_down(place, static_cast<std::size_t>(blocked - first));
            return;
        }
        std::fill(first, last, true);
        claims_.push_back({place.begin_byte, rank});
        if ((candidate.attributes & kStripLeft) != 0)
            for (std::size_t i = begin; i > 0 && !taken_[i - 1] && is_space(text_[i - 1]); --i)
                taken_[i - 1] = true;
        if ((candidate.attributes & kStripRight) != 0)
            for (std::size_t i = end; i < text_.size() && !taken_[i] && is_space(text_[i]); ++i)
                taken_[i] = true;
    }

    void step_down(const Place& place, std::size_t room_bytes) {
        std::uint32_t node = search_.nodes_[place.node].shorter;
        while (node != kNone && search_.candidates_[search_.nodes_[node].match].text.size() > room_bytes)
            node = search_.nodes_[node].shorter;
        if (node != kNone) waiting_[search_.nodes_[node].match].push_back({place.begin_byte, node});
    }

    const SpecialSearch& search_;
    std::string_view text_;
    std::vector<bool> taken_;
    std::vector<std::vector<Place>> waiting_;  ///< by rank
    std::vector<Claim> claims_;
};

std::vector<Fragment> SpecialSearch::partition(std::string_view text) const {
    if (text.empty()) return {};
    const std::vector<Place> places = candidates_.empty() ? std::vector<Place>{} : find_places(text);
    if (places.empty()) return {{text, kNoToken}};

    Selection selection(*this, text);
    const std::vector<Claim> claims = selection.run(places);
    std::vector<Fragment> fragments;
    const auto add_raw = [&](std::size_t begin, std::size_t end) {
        while (begin < end && selection.is_taken(begin)) ++begin;
        while (end > begin && selection.is_taken(end - 1)) --end;
        if (begin < end) fragments.push_back({text.substr(begin, end - begin), kNoToken});
    };
    std::size_t done = 0;
    for (const Claim& claim : claims) {
        const Candidate& candidate = candidates_[claim.rank];
        add_raw(done, claim.begin_byte);
        fragments.push_back({{}, candidate.token});
        done = claim.begin_byte + candidate.text.size();
    }
    add_raw(done, text.size());
    return fragments;
}

}  // namespace assay::tokenizer
