#include "calibrate/saver.h"

#include <exception>
#include <utility>

#include "core/file.h"

namespace assay::calibrate {

void Saver::start(const imatrix::Matrix& matrix, imatrix::Format format,
                  std::vector<std::filesystem::path> paths, std::function<void()> after) {
    outcome_ = {};
    for (std::filesystem::path& path : paths) outcome_.files.push_back({std::move(path), {}});
    writing_.start([this, &matrix, format, after = std::move(after)] { write(matrix, format, after); });
}

void Saver::write_files(const imatrix::Matrix& matrix, imatrix::Format format) {
    if (outcome_.files.empty()) return;
    const FileContent content = imatrix::content(matrix, format, outcome_.notes);
    for (File& file : outcome_.files) {
        try {
            write_file_atomically(file.path, content);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::Io) throw;
            file.failure = error;
        }
    }
}

void Saver::write(const imatrix::Matrix& matrix, imatrix::Format format, const std::function<void()>& after) {
    std::exception_ptr failure;
    try {
        write_files(matrix, format);
    } catch (...) {
        failure = std::current_exception();
    }
    try {
        if (after) after();
    } catch (const Error& error) {
        outcome_.state_failure = error;
    }
    if (failure) std::rethrow_exception(failure);
}

Saver::Outcome Saver::finish() {
    writing_.wait();
    return std::move(outcome_);
}

}  // namespace assay::calibrate
