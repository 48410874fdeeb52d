#include "tokenizer/splitter.h"

#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

using Ends = std::vector<std::uint32_t>;

bool is_ascii_digit(char reduced) { return reduced >= '0' && reduced <= '9'; }

bool is_number(char reduced) {
    return is_ascii_digit(reduced) || reduced == static_cast<char>(Reduced::Number);
}

/// Position behind the run of characters that begins at `from`.
template <typename Is> std::size_t run_end(std::string_view piece, std::size_t from, Is is) {
    while (from < piece.size() && is(piece[from])) ++from;
    return from;
}

// Each of these appends the cuts inside `piece`, and its end, shifted by `base`.

void cut_matches(const Expression& expression, Expression::Workspace& workspace, std::string_view piece,
                 std::size_t base, Ends& ends) {
    std::size_t done = 0;
    Expression::Match match{};
    while (done < piece.size() && expression.find(piece, done, workspace, match)) {
        if (match.begin > done) ends.push_back(static_cast<std::uint32_t>(base + match.begin));
        ends.push_back(static_cast<std::uint32_t>(base + match.end));
        done = match.end;
    }
    if (done < piece.size()) ends.push_back(static_cast<std::uint32_t>(base + piece.size()));
}

void cut_group_ends(std::string_view piece, std::size_t base, Ends& ends) {
    std::size_t done = 0;
    for (std::size_t i = 0; i < piece.size();) {
        if (!is_number(piece[i])) {
            ++i;
            continue;
        }
        const std::size_t end = run_end(piece, i, is_number);
        const std::size_t n_leading = (end - i) % 3;
        for (done = n_leading > 0 ? i + n_leading : i + 3; done <= end; done += 3)
            ends.push_back(static_cast<std::uint32_t>(base + done));
        done = i = end;
    }
    if (done < piece.size()) ends.push_back(static_cast<std::uint32_t>(base + piece.size()));
}

void cut_group_starts(std::string_view piece, std::size_t base, Ends& ends) {
    for (std::size_t i = 0; i < piece.size();) {
        if (!is_ascii_digit(piece[i])) {
            ++i;
            continue;
        }
        const std::size_t end = run_end(piece, i, is_ascii_digit);
        for (std::size_t start = i + (end - i) % 3; start < end; start += 3)
            if (start > 0) ends.push_back(static_cast<std::uint32_t>(base + start));
        i = end;
    }
    ends.push_back(static_cast<std::uint32_t>(base + piece.size()));
}

void lengths_in_bytes(std::string_view clean, const Ends& ends, Ends& lengths) {
    lengths.clear();
    std::size_t character = 0;
    std::size_t position = 0;
    for (const std::uint32_t end : ends) {
        const std::size_t begin = position;
        for (; character < end; ++character) position += announced_length(clean[position]);
        lengths.push_back(static_cast<std::uint32_t>(position - begin));
    }
}

}  // namespace

Splitter::Splitter(const PreTokenizer& pre) {
    for (const SplitRule& rule : pre.rules) {
        if (rule.kind == SplitKind::Match && rule.pattern.empty()) continue;
        Step& step = steps_.emplace_back();
        step.kind = rule.kind;
        if (rule.kind == SplitKind::Match) step.expression.emplace_back(rule.pattern);
    }
}

const Ends& Splitter::split(std::string_view clean, Workspace& workspace) const {
    workspace.reduced.clear();
    append_reduced(workspace.reduced, clean);
    Ends& ends = workspace.ends;
    ends.clear();
    if (!clean.empty()) ends.push_back(static_cast<std::uint32_t>(workspace.reduced.size()));

    for (const Step& step : steps_) {
        std::string_view reduced = workspace.reduced;
        if (step.kind == SplitKind::Match && step.expression[0].lists_characters()) {
            workspace.listed.clear();
            step.expression[0].append_reduced_listed(workspace.listed, clean);
            reduced = workspace.listed;
        }
        workspace.next_ends.clear();
        std::size_t begin = 0;
        for (const std::uint32_t end : ends) {
            const std::string_view piece = reduced.substr(begin, end - begin);
            switch (step.kind) {
                case SplitKind::Match:
                    cut_matches(step.expression[0], workspace.matching, piece, begin, workspace.next_ends);
                    break;
                case SplitKind::GroupEnds: cut_group_ends(piece, begin, workspace.next_ends); break;
                case SplitKind::GroupStarts: cut_group_starts(piece, begin, workspace.next_ends); break;
            }
            begin = end;
        }
        ends.swap(workspace.next_ends);
    }
    lengths_in_bytes(clean, ends, workspace.lengths_bytes);
    return workspace.lengths_bytes;
}

}  // namespace assay::tokenizer
