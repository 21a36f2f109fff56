#include "tests/fault/disk/disk_faults.hpp"

#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>
#include <utility>

namespace spoke::fault {
namespace {

constexpr std::array<std::string_view, 4> kActions{"write", "sync", "name", "read"};
constexpr std::array<std::pair<std::string_view, int>, 3> kErrors{
    {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}}};

bool holds(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        auto comma = list.find(',');
        if (list.substr(0, comma) == word) return true;
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
    return false;
}

}  // namespace

int DiskFaults::error_of(DiskAction action) const {
    if (path_.empty()) return 0;
    std::ifstream file{path_};
    std::string actions;
    std::string error;
    if (!(file >> actions >> error) || !holds(actions, kActions[static_cast<std::size_t>(action)]))
        return 0;
    for (auto [name, number] : kErrors)
        if (error == name) return number;
    return 0;
}

}  // namespace spoke::fault
