#include "recipe/sensitivity.h"

#include <cmath>

#include "core/error.h"
#include "fuzz/support.h"

namespace assay::fuzz {

void examine_sensitivity(Bytes bytes) {
    const MemoryFile memory(bytes);
    std::vector<recipe::SensitivityFile> files;
    try {
        files.push_back(recipe::read_sensitivity(memory.path()));
    } catch (const Error& error) {
        expect(error.kind() == ErrorKind::BadFile, error.what());
        return;
    }
    files.push_back(files.front());
    const recipe::FittedScale scale(files, [](const std::string& tensor, quant::TypeId) {
        return 1e-3 * static_cast<double>(tensor.size());
    });
    for (const recipe::MeasuredUnit& unit : files.front().units)
        for (const std::string& tensor : unit.tensors)
            expect(!std::isnan(scale.of(tensor, unit.type)), "a scale is a number");
}

}  // namespace assay::fuzz
