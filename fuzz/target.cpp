// One libFuzzer target; ASSAY_EXAMINE is the function that takes the bytes.
#include "fuzz/examine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    (void)assay::fuzz::ASSAY_EXAMINE(std::as_bytes(std::span(data, size)));
    return 0;
}
