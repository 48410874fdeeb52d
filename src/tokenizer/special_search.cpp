#include "tokenizer/special_search.h"

#include <algorithm>
#include <string>
#include <utility>

namespace assay::tokenizer {
namespace {

/// White space of the C locale, whatever the program's locale is.
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

bool is_mark(const Vocabulary& vocabulary, Token token) {
    const std::string& text = vocabulary.text(token);
    return (vocabulary.attributes(token) & (kControl | kUnknown)) != 0 ||
           (text.size() > 4 && text.starts_with("<|") && text.ends_with("|>"));
}

SpecialSearch::SpecialSearch(const Vocabulary& vocabulary, bool parse_special)
    : candidates_(collect(vocabulary, parse_special)), tree_(tree_of_reversed(candidates_)), links_(link()) {}

std::vector<SpecialSearch::Candidate> SpecialSearch::collect(const Vocabulary& vocabulary,
                                                             bool parse_special) {
    std::vector<Candidate> candidates;
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
        const auto id = static_cast<Token>(i);
        const Attributes attributes = vocabulary.attributes(id);
        if ((attributes & (kControl | kUserDefined | kUnknown)) == 0) continue;
        if (!parse_special && (attributes & (kControl | kUnknown)) != 0) continue;
        if (vocabulary.find(vocabulary.text(id)) != id) continue;
        candidates.push_back({vocabulary.text(id), id, attributes, is_mark(vocabulary, id)});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.text.size() > b.text.size(); });
    return candidates;
}

ByteTrie SpecialSearch::tree_of_reversed(const std::vector<Candidate>& candidates) {
    std::vector<std::string> reversed;
    for (const Candidate& candidate : candidates)
        reversed.emplace_back(candidate.text.rbegin(), candidate.text.rend());
    std::vector<ByteTrie::Key> keys;
    for (const std::string& text : reversed) keys.push_back({text, static_cast<Rank>(keys.size())});
    return ByteTrie(std::move(keys));
}

// Nodes are numbered breadth first, so a failure link, which is less deep, is complete before the node.
std::vector<SpecialSearch::Links> SpecialSearch::link() const {
    std::vector<Links> links(tree_.size());
    for (std::uint32_t parent = 0; parent < tree_.size(); ++parent)
        for (std::uint32_t node = tree_.first_child(parent); node < tree_.end_child(parent); ++node) {
            std::uint32_t fail = parent;
            std::uint32_t target = kNone;
            while (target == kNone && fail != ByteTrie::kRoot) {
                fail = links[fail].fail;
                target = tree_.child(fail, tree_.byte(node));
            }
            links[node].fail = target == kNone ? ByteTrie::kRoot : target;
            const std::uint32_t suffix = links[node].fail;
            links[node].shorter = tree_.value(suffix) != kNone ? suffix : links[suffix].shorter;
        }
    return links;
}

std::uint32_t SpecialSearch::next_node(std::uint32_t node, std::uint8_t byte) const {
    std::uint32_t next = tree_.child(node, byte);
    while (next == kNone && node != ByteTrie::kRoot) {
        node = links_[node].fail;
        next = tree_.child(node, byte);
    }
    return next == kNone ? ByteTrie::kRoot : next;
}

/// Every byte at which some candidate begins, first byte first, with the node of the longest one.
std::vector<SpecialSearch::Place> SpecialSearch::find_places(std::string_view text) const {
    std::vector<Place> places;
    std::uint32_t node = ByteTrie::kRoot;
    for (std::size_t i = text.size(); i-- > 0;) {
        node = next_node(node, static_cast<std::uint8_t>(text[i]));
        const std::uint32_t found = tree_.value(node) != kNone ? node : links_[node].shorter;
        if (found != kNone) places.push_back({static_cast<std::uint32_t>(i), found});
    }
    std::reverse(places.begin(), places.end());
    return places;
}

/// Hands out the bytes of one text.
class SpecialSearch::Selection {
  public:
    Selection(const SpecialSearch& search, std::string_view text, std::span<const Range> plain)
        : search_(search),
          text_(text),
          taken_(text.size()),
          plain_(plain.empty() ? 0 : text.size()),
          waiting_(search.candidates_.size()) {
        for (const Range& range : plain)
            std::fill(plain_.begin() + static_cast<std::ptrdiff_t>(range.begin),
                      plain_.begin() + static_cast<std::ptrdiff_t>(range.end), true);
    }

    /// The claims in order of position; `taken` afterwards also marks stripped bytes.
    std::vector<Claim> run(const std::vector<Place>& places) {
        for (const Place& place : places) waiting_[search_.tree_.value(place.node)].push_back(place);
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
        if (candidate.mark && touches_plain(begin, end)) {
            step_down(place, candidate.text.size());
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

    bool touches_plain(std::size_t begin, std::size_t end) const {
        if (plain_.empty()) return false;
        const auto last = plain_.begin() + static_cast<std::ptrdiff_t>(end);
        return std::find(plain_.begin() + static_cast<std::ptrdiff_t>(begin), last, true) != last;
    }

    void step_down(const Place& place, std::size_t room_bytes) {
        std::uint32_t node = search_.links_[place.node].shorter;
        while (node != kNone && search_.candidates_[search_.tree_.value(node)].text.size() > room_bytes)
            node = search_.links_[node].shorter;
        if (node != kNone) waiting_[search_.tree_.value(node)].push_back({place.begin_byte, node});
    }

    const SpecialSearch& search_;
    std::string_view text_;
    std::vector<bool> taken_;
    std::vector<bool> plain_;                  ///< empty: nowhere
    std::vector<std::vector<Place>> waiting_;  ///< by rank
    std::vector<Claim> claims_;
};

std::vector<Fragment> SpecialSearch::partition(std::string_view text, std::span<const Range> plain) const {
    if (text.empty()) return {};
    const std::vector<Place> places = candidates_.empty() ? std::vector<Place>{} : find_places(text);
    if (places.empty()) return {{text, kNoToken}};

    Selection selection(*this, text, plain);
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
        fragments.push_back({text.substr(claim.begin_byte, candidate.text.size()), candidate.token});
        done = claim.begin_byte + candidate.text.size();
    }
    add_raw(done, text.size());
    return fragments;
}

}  // namespace assay::tokenizer
