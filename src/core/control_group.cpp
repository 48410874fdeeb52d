#include "core/control_group.h"

#include <fstream>
#include <string>

namespace assay {

namespace {

/// "cpu" in "cpu,cpuacct"; the empty name of version 2 only in an empty list.
bool holds(std::string_view list, std::string_view name) {
    while (true) {
        const std::size_t comma = list.find(',');
        if (list.substr(0, comma) == name) return true;
        if (comma == list.npos) return false;
        list.remove_prefix(comma + 1);
    }
}

/// Lines are "ID:CONTROLLERS:PATH".
std::string group_path(std::string_view controller) {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        if (holds(std::string_view(line).substr(first + 1, second - first - 1), controller))
            return line.substr(second + 1);
    }
    return "/";
}

}  // namespace

std::vector<std::filesystem::path> control_group_folders(std::string_view controller) {
    const std::filesystem::path root = std::filesystem::path("/sys/fs/cgroup") / controller;
    std::vector<std::filesystem::path> folders;
    for (std::filesystem::path group = std::filesystem::path(group_path(controller)).relative_path();
         !group.empty(); group = group.parent_path())
        folders.push_back(root / group);
    folders.push_back(root);
    return folders;
}

}  // namespace assay
