#include "core/processors.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <linux/mempolicy.h>
#include <sched.h>
#include <set>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <tuple>
#include <unistd.h>

#include "core/control_group.h"

namespace assay {

namespace {

std::string first_line(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::vector<int> cpus_of_process() {
    std::vector<int> cpus;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    } else {  // more processors than the set has room for
        for (unsigned cpu = 0; cpu < std::thread::hardware_concurrency(); ++cpu)
            cpus.push_back(static_cast<int>(cpu));
    }
    if (cpus.empty()) cpus.push_back(0);
    return cpus;
}

/// Processors whose time the control groups give; none where they do not limit it.
double processor_quota() {
    double least = std::numeric_limits<double>::infinity();
    for (const auto& folder : control_group_folders("")) {
        std::ifstream file(folder / "cpu.max");  // "max 100000" or "200000 100000"
        double quota = 0;
        double period = 0;
        if (file >> quota >> period && quota > 0 && period > 0) least = std::min(least, quota / period);
    }
    for (const auto& folder : control_group_folders("cpu")) {
        double quota = 0;
        double period = 0;
        if (std::ifstream(folder / "cpu.cfs_quota_us") >> quota && quota > 0 &&
            std::ifstream(folder / "cpu.cfs_period_us") >> period && period > 0)
            least = std::min(least, quota / period);
    }
    return least;
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
    std::vector<int> cpus;
    std::size_t at = 0;
    const auto number = [&](int& value) {
        const std::size_t begin = at;
        for (value = 0; at < text.size() && text[at] >= '0' && text[at] <= '9' && value < CPU_SETSIZE; ++at)
            value = value * 10 + (text[at] - '0');
        return at > begin && value < CPU_SETSIZE;
    };
    for (int first = 0; number(first);) {
        int last = first;
        if (at < text.size() && text[at] == '-' && (++at, !number(last))) break;
        for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
        if (at >= text.size() || text[at] != ',') break;
        ++at;
    }
    return cpus;
}

std::vector<Processor> describe_processors(const std::vector<int>& cpus,
                                           const std::filesystem::path& folder) {
    std::vector<Processor> processors;
    for (const int cpu : cpus) {
        const auto list = folder / "cpu" / ("cpu" + std::to_string(cpu)) / "topology/thread_siblings_list";
        const std::vector<int> core = parse_cpu_list(first_line(list));
        const auto earlier = std::ranges::count_if(processors, [&](const Processor& other) {
            return std::ranges::find(core, other.cpu) != core.end();
        });
        processors.push_back({cpu, 0, static_cast<int>(earlier)});
    }
    for (const int node : parse_cpu_list(first_line(folder / "node/online"))) {
        const auto list = folder / "node" / ("node" + std::to_string(node)) / "cpulist";
        const std::vector<int> near = parse_cpu_list(first_line(list));
        for (Processor& processor : processors)
            if (std::ranges::find(near, processor.cpu) != near.end()) processor.node = node;
    }
    return processors;
}

const std::vector<Processor>& allowed_processors() {
    static const std::vector<Processor> kAllowed = describe_processors(cpus_of_process());
    return kAllowed;
}

int available_processors() {
    const auto cores =
        std::ranges::count_if(allowed_processors(), [](const Processor& p) { return p.sibling == 0; });
    const double quota = std::ceil(processor_quota());
    return std::max(1, static_cast<int>(std::min(static_cast<double>(cores), quota)));
}

std::vector<int> choose_places(std::span<const Processor> allowed, int n_threads) {
    std::vector<Processor> ordered(allowed.begin(), allowed.end());
    std::ranges::sort(ordered, {}, [](const Processor& p) { return std::tuple(p.sibling, p.node, p.cpu); });
    const auto n = static_cast<std::size_t>(std::max(0, n_threads));
    if (n > ordered.size()) return {};
    const auto cores = std::ranges::count_if(ordered, [](const Processor& p) { return p.sibling == 0; });
    const bool one_node =
        std::ranges::all_of(ordered, [&](const Processor& p) { return p.node == ordered.front().node; });
    if (one_node && n_threads < cores) return {};
    std::vector<int> places;
    for (std::size_t i = 0; i < n; ++i) places.push_back(ordered[i].cpu);
    return places;
}

void interleave_memory(std::span<const Processor> allowed) {
    constexpr std::size_t kBits = std::numeric_limits<unsigned long>::digits;
    std::set<int> nodes;
    for (const Processor& processor : allowed) nodes.insert(processor.node);
    if (nodes.size() < 2) return;
    std::vector<unsigned long> mask(static_cast<std::size_t>(*nodes.rbegin()) / kBits + 1);
    for (const int node : nodes)
        mask[static_cast<std::size_t>(node) / kBits] |= 1UL << (static_cast<std::size_t>(node) % kBits);
    // The kernel reads one bit less than it is told.
    ::syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, mask.data(), mask.size() * kBits + 1);
}

void settle_thread(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    ::sched_setaffinity(0, sizeof set, &set);
    ::syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0);
}

}  // namespace assay
