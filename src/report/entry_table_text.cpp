#include "report/entry_table_text.h"

#include <fmt/format.h>

#include "core/text.h"

namespace assay::report {

namespace {

// A column without sums of x is left out of both tables.
struct Layout {
    bool distance;
    std::size_t tensor_rule, block_rule;
};
constexpr Layout kFull{true, 165, 76}, kWithoutSums{false, 153, 64};

constexpr std::size_t kNameBytes = 40;

// "∑ E[A²]" has 7 places and 10 bytes; the peer pads bytes, which gives the 14 places of the numbers below.
constexpr std::string_view kEnergyHeading = "       ∑ E[A²]";

std::string label(std::optional<int> block, const stats::EntryTable& table) {
    if (!block) return "-";
    if (table.first_nextn && *block >= *table.first_nextn)
        return fmt::format("mtp{}", *block - *table.first_nextn);
    return std::to_string(*block);
}

/// Of a fixed number of bytes, as far as the name allows; of a long one its end.
std::string name_column(const std::string& name) {
    std::string text = printable(name);
    if (text.size() > kNameBytes) text = ".." + text.substr(text.size() - (kNameBytes - 2));
    return text.append(kNameBytes - text.size(), ' ');
}

std::string rule(std::size_t n) { return std::string(n, '-') + '\n'; }

std::string tensor_heading(const Layout& layout) {
    return fmt::format("\n{:>6} | {:<40} | {:>10}{:>10}{:>12}{:>12}{:>9} | {}{:>8} | {}{:>10}{:>10}\n",
                       "Layer", "Tensor", "Mean", "StdDev", "Skew", "Kurt", "H Norm", kEnergyHeading, "Gain",
                       layout.distance ? fmt::format("{:>12}", "L2 Dist") : "", "PCC", "Cov");
}

std::string tensor_row(const imatrix::EntryStats& t, const std::string& label, const Layout& layout) {
    return fmt::format(
        "{:>6} | {} | {:10.4f}{:10.4f}{:12.4f}{:12.4f}{:>8.2f}% | {:14.4f}{:>8.2f} | {}{:>10.4f}{:>10.4f}\n",
        label, name_column(t.name), t.mean, t.std_deviation, t.skewness, t.kurtosis, t.h_norm, t.energy,
        t.gain, layout.distance ? fmt::format("{:>12.4f}", t.l2_dist) : "", t.pearson, t.covariance);
}

std::string block_heading(const Layout& layout) {
    return fmt::format("{:>6} | {}{:>8} | {}{:>9}{:>9}{:>12}\n", "Layer", kEnergyHeading, "Gain",
                       layout.distance ? fmt::format("{:>12}", "L2 Dist") : "", "CosSim", "PCC", "Cov");
}

std::string block_row(const stats::BlockRow& b, const std::string& label, const Layout& layout) {
    return fmt::format("{:>6} | {:14.4f}{:>8.2f} | {}{:>9.4f}{:>9.4f}{:>12.4f}\n", label, b.sum_sq, b.gain,
                       layout.distance ? fmt::format("{:>12.4f}", b.l2_dist) : "", b.cossim, b.pearson,
                       b.covariance);
}

}  // namespace

std::string entry_table_text(std::string_view path, const stats::EntryTable& table) {
    const Layout& layout = table.plain_sums ? kFull : kWithoutSums;
    std::string text = fmt::format("\nComputing tensor statistics for {} ({} tensors)\n", printable(path),
                                   table.rows.size());
    text += tensor_heading(layout) + rule(layout.tensor_rule);
    for (const imatrix::EntryStats& row : table.rows)
        text += tensor_row(row, label(row.parts.block, table), layout);
    if (!table.gap.empty()) return text;
    text +=
        fmt::format("\nComputing layer statistics for {} ({} layers)\n\n", printable(path), table.n_blocks());
    text += block_heading(layout) + rule(layout.block_rule);
    for (const stats::BlockRow& row : table.blocks) text += block_row(row, label(row.block, table), layout);
    return text + '\n';
}

}  // namespace assay::report
