#include "documents/cutting.h"

#include <algorithm>

namespace assay::documents {

std::vector<Piece> cut(std::size_t n_tokens, std::span<const std::size_t> starts, std::size_t most,
                       std::size_t most_later) {
    std::vector<Piece> pieces;
    std::size_t done = 0;
    while (done < n_tokens) {
        const std::size_t room = pieces.empty() ? most : most_later;
        const auto* next = std::ranges::upper_bound(starts, done).base();
        const auto* const end = starts.data() + starts.size();
        std::size_t border = n_tokens;
        if (n_tokens - done > room) {
            const auto* const beyond =
                std::partition_point(next, end, [&](std::size_t start) { return start - done <= room; });
            if (beyond != next)
                border = *(beyond - 1);
            else if (next != end)
                border = *next;
        }
        for (std::size_t left = border - done; left > 0;) {
            const std::size_t piece_room = pieces.empty() ? most : most_later;
            const std::size_t n_pieces = (left + piece_room - 1) / piece_room;
            const std::size_t count = (left + n_pieces - 1) / n_pieces;
            pieces.push_back({done, count});
            done += count;
            left -= count;
        }
    }
    return pieces;
}

}  // namespace assay::documents
