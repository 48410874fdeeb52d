#include "report/report_data.h"

namespace assay::report {

MatrixReport describe(const imatrix::Matrix& matrix, std::string label,
                      std::span<const std::string> expected) {
    MatrixReport report;
    report.label = std::move(label);
    report.datasets = matrix.datasets;
    report.chunk_size = matrix.chunk_size;
    report.chunk_count = matrix.chunk_count;
    imatrix::Notes notes;  // weights without data, which the coverage names anyway
    report.tensors = stats::tensor_stats(matrix, notes);
    report.layers = stats::layer_stats(report.tensors);
    report.activations = stats::activation_stats(matrix);
    report.distributions = stats::distributions(matrix, {});
    report.coverage = stats::coverage(matrix, expected);
    return report;
}

}  // namespace assay::report
