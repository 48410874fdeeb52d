#include "cluster/launch.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <dlfcn.h>

#include "core/error.h"

namespace assay::cluster {

namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "libassay_mpi.so";

std::optional<std::string> from_process(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

int number(const std::optional<std::string>& text) {
    int value = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

/// As built, and as installed.
std::vector<fs::path> module_places() {
    std::error_code failure;
    const fs::path folder = fs::read_symlink("/proc/self/exe", failure).parent_path();
    return {folder / kModule, folder.parent_path() / ASSAY_LIBEXEC_DIR / kModule};
}

OpenTransport open_module() {
    for (const fs::path& path : module_places()) {
        std::error_code failure;
        if (!fs::exists(path, failure)) continue;
        // MPI's own plugins look for its symbols among all.
        void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
        const char* why = module == nullptr ? ::dlerror() : nullptr;
        void* symbol = module != nullptr ? ::dlsym(module, kOpenTransport) : nullptr;
        if (symbol == nullptr)
            throw_error(ErrorKind::Unsupported, path.string(),
                        "cannot be loaded, and without it ranks do not find one another: {}",
                        why != nullptr ? why : "it is of another version");
        return reinterpret_cast<OpenTransport>(symbol);
    }
    throw_error(
        ErrorKind::Unsupported, "MPI",
        "the launcher has started several ranks, and {} is not there to connect them ({}): build where "
        "libopenmpi-dev is installed, or start the program without mpirun and srun",
        kModule, module_places().front().parent_path().string());
}

}  // namespace

int launched_ranks(const Environment& environment) {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE"})
        if (const int ranks = number(environment(name)); ranks > 0) return ranks;
    // In a batch script SLURM_NTASKS is there without srun; a step is what srun has started.
    if (environment("SLURM_PROCID") && environment("SLURM_STEP_ID") &&
        environment("SLURM_STEP_ID") != "batch" && environment("SLURM_STEP_NUM_TASKS"))
        return std::max(1, number(environment("SLURM_STEP_NUM_TASKS")));
    return 1;
}

std::unique_ptr<Communicator> join_cluster() {
    if (launched_ranks(from_process) <= 1) return nullptr;
    const OpenTransport open = open_module();
    return std::make_unique<Communicator>([open] { return std::unique_ptr<Transport>(open()); });
}

}  // namespace assay::cluster
