// The processors that this process may use, where they are, and which thread belongs on which.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

namespace assay {

struct Processor {
    int cpu = 0;      ///< its number in the system
    int node = 0;     ///< the memory node that is near
    int sibling = 0;  ///< 0: the first of its core; 1, 2, ...: shares the core with an earlier one

    bool operator==(const Processor&) const = default;
};

/// "0-3,8,10-11" as numbers; what is no such list ends it.
std::vector<int> parse_cpu_list(const std::string& text);

/// These processors with what the kernel's folder says about them; all on node 0 and alone on their core
/// where it says nothing. Siblings are counted among these processors only.
std::vector<Processor> describe_processors(const std::vector<int>& cpus,
                                           const std::filesystem::path& folder = "/sys/devices/system");

/// Those that the process was allowed when it asked first.
const std::vector<Processor>& allowed_processors();

/// The threads that a job takes when nobody asked: one per allowed core, since the threads of a core share
/// its matrix unit and caches, and no more than the control groups give time for.
int available_processors();

/// A processor for each of `n_threads` threads: one per core before a second one, and one node full before
/// the next. Empty where it is better left to the system: one node and fewer threads than cores, since others
/// use the machine too, or more threads than processors.
std::vector<int> choose_places(std::span<const Processor> allowed, int n_threads);

/// From now on memory that this thread, and the threads that it makes, touch first lies on all nodes of these
/// processors in turn, page by page. Nothing happens on one node, or where it is forbidden.
void interleave_memory(std::span<const Processor> allowed);

/// This thread stays on the processor, and what it touches first lies near. A hint: failures are ignored.
void settle_thread(int cpu);

}  // namespace assay
