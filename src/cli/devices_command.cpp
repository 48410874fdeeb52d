// `assay devices` and `--list-devices`: what can compute here.
#include <fmt/format.h>

#include "backend/cuda_backend.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/cpu.h"
#include "core/processors.h"

namespace assay::cli {

int devices_command(const Arguments&) {
    std::string out =
        fmt::format("cpu     {} processors, {} kernels\n", available_processors(), to_string(detect_isa()));
    for (const backend::DeviceInfo& device : backend::cuda_devices())
        out += fmt::format("cuda:{}  {}, compute capability {}.{}, {} of {} free\n", device.index,
                           device.name, device.compute_major, device.compute_minor,
                           size_text(static_cast<double>(device.free_bytes)),
                           size_text(static_cast<double>(device.total_bytes)));
    if (!backend::cuda_built()) out += "(this program was built without CUDA)\n";
    print(out);
    return 0;
}

}  // namespace assay::cli
