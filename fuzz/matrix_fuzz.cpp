// Any bytes as an importance matrix, GGUF or legacy: refused with an Error, or what was read can be written
// in every format and, in the exact one, comes back whole.
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "imatrix/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace assay;
    imatrix::Notes notes;
    imatrix::Matrix matrix;
    try {
        matrix = imatrix::parse(std::as_bytes(std::span(data, size)), "fuzz", {}, notes);
    } catch (const Error&) {
        return 0;
    }
    for (const auto format : {imatrix::Format::Gguf, imatrix::Format::Legacy}) try {
            (void)imatrix::serialise(matrix, format, notes);
        } catch (const Error&) {
        }
    std::vector<std::byte> bytes;
    try {
        bytes = imatrix::serialise(matrix, imatrix::Format::GgufExact, notes);
    } catch (const Error&) {
        return 0;
    }
    const imatrix::Matrix again = imatrix::parse(bytes, "again", {}, notes);
    if (imatrix::serialise(again, imatrix::Format::GgufExact, notes) != bytes) std::abort();
    return 0;
}
