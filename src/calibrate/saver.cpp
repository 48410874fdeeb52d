#include "calibrate/saver.h"

#include <utility>

#include "core/file.h"
#include "core/thread_pool.h"

namespace assay::calibrate {

Saver::~Saver() {
    if (thread_.joinable()) thread_.join();
}

void Saver::start(const imatrix::Matrix& matrix, imatrix::Format format,
                  std::vector<std::filesystem::path> paths, std::function<void()> after) {
    outcome_ = {};
    for (std::filesystem::path& path : paths) outcome_.files.push_back({std::move(path), {}});
    failure_ = nullptr;
    done_ = false;
    under_way_ = true;
    const auto work = [this, &matrix, format, after = std::move(after)] { write(matrix, format, after); };
    try {
        thread_ = start_thread(work);
    } catch (const Error&) {
        work();  // the system has no thread left: the run waits
    }
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
    try {
        write_files(matrix, format);
    } catch (...) {
        failure_ = std::current_exception();
    }
    try {
        if (after) after();
    } catch (const Error& error) {
        outcome_.state_failure = error;
    } catch (...) {
        failure_ = std::current_exception();
    }
    done_ = true;
}

Saver::Outcome Saver::finish() {
    if (thread_.joinable()) thread_.join();
    under_way_ = false;
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return std::move(outcome_);
}

}  // namespace assay::calibrate
