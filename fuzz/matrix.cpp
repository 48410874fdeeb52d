#include "core/error.h"
#include "fuzz/support.h"
#include "imatrix/file.h"
#include "report/html.h"
#include "report/statistics_text.h"

namespace assay::fuzz {

namespace {

void describe(const imatrix::Matrix& matrix) {
    imatrix::Notes notes;
    report::ReportData data;
    data.matrices.push_back(report::describe(matrix, "first"));
    data.matrices.push_back(report::describe(matrix, "second"));
    data.comparisons.push_back(stats::compare(matrix, matrix));
    expect(!report::html_report(data).empty(), "a matrix has a page");
    const auto tensors = stats::tensor_stats(matrix, notes);
    (void)stats::layer_stats(tensors);
}

void write_all(const imatrix::Matrix& matrix) {
    imatrix::Notes notes;
    for (const auto format : {imatrix::Format::Gguf, imatrix::Format::Legacy}) try {
            const auto bytes = imatrix::serialise(matrix, format, notes);
            (void)imatrix::parse(bytes, "written", {}, notes);
        } catch (const Error& error) {
            expect(error.kind() == ErrorKind::Numeric || error.kind() == ErrorKind::Shape, error.what());
        }
    std::vector<std::byte> bytes;
    try {
        bytes = imatrix::serialise(matrix, imatrix::Format::GgufExact, notes);
    } catch (const Error&) {
        return;
    }
    const imatrix::Matrix again = imatrix::parse(bytes, "again", {}, notes);
    expect(imatrix::serialise(again, imatrix::Format::GgufExact, notes) == bytes,
           "an exact file comes back whole");
}

}  // namespace

Verdict examine_matrix(Bytes bytes) {
    imatrix::Notes notes;
    imatrix::Matrix matrix;
    try {
        matrix = imatrix::parse(bytes, "fuzz", {}, notes);
    } catch (const Error& error) {
        expect(error.kind() != ErrorKind::Internal, error.what());
        return Verdict::Refused;
    }
    describe(matrix);
    write_all(matrix);
    imatrix::Matrix twice = matrix;
    imatrix::merge(twice, matrix, notes);
    return Verdict::Taken;
}

}  // namespace assay::fuzz
