#include "core/mapped_files.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <new>
#include <string>

namespace assay {

namespace {

/// Places are used again and never freed, so that a signal handler may walk over them at any moment.
struct Place {
    std::atomic<const std::byte*> begin = nullptr;  ///< nullptr: free
    std::atomic<const std::byte*> end = nullptr;
    std::string file;  ///< changes only while the place is free
    Place* next = nullptr;
};

// A signal handler can reach nothing but variables of static life.
std::atomic<Place*> newest = nullptr;
std::mutex changes;

/// The place whose mapping begins there.
Place* find(const void* begin) noexcept {
    Place* place = newest;
    while (place != nullptr && place->begin != begin) place = place->next;
    return place;
}

}  // namespace

void list_mapping(std::span<const std::byte> bytes, const std::filesystem::path& file) noexcept try {
    std::string name = file.string();
    const std::lock_guard lock(changes);
    Place* place = find(nullptr);
    if (place == nullptr) {
        place = new Place;
        place->next = newest;
        newest = place;
    }
    place->file = std::move(name);
    place->end = bytes.data() + bytes.size();
    place->begin = bytes.data();
} catch (const std::bad_alloc&) {
}

void unlist_mapping(const void* begin) noexcept {
    if (begin == nullptr) return;
    const std::lock_guard lock(changes);
    if (Place* place = find(begin)) place->begin = nullptr;
}

const char* mapped_file_at(const void* address) noexcept {
    const std::less<> before;
    for (const Place* place = newest; place != nullptr; place = place->next) {
        const void* begin = place->begin;
        const void* end = place->end;
        if (begin != nullptr && !before(address, begin) && before(address, end)) return place->file.c_str();
    }
    return nullptr;
}

}  // namespace assay
