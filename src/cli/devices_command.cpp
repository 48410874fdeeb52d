// assay devices: what can compute here.
#include "backend/cuda_backend.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/thread_pool.h"

namespace assay::cli {

int run_devices(const std::vector<std::string>& words) {
    if (!words.empty())
        throw_error(ErrorKind::Usage, words.front(), "unexpected; devices takes no arguments");
    std::string out =
        fmt::format("cpu     {} processors, {} kernels\n", available_processors(), to_string(detect_isa()));
    for (const backend::DeviceInfo& device : backend::cuda_devices())
        out += fmt::format("cuda:{}  {}, compute capability {}.{}, {} of {} MiB free\n", device.index,
                           device.name, device.compute_major, device.compute_minor, device.free_bytes >> 20,
                           device.total_bytes >> 20);
    if (!backend::cuda_built()) out += "(this program was built without CUDA)\n";
    write_stdout(out);
    return 0;
}

}  // namespace assay::cli
