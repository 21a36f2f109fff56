#include "broker/auth/path_trail.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <filesystem>

namespace spoke::broker {
namespace {

namespace fs = std::filesystem;

constexpr int kSymlinksMax = 40;  // as the kernel

std::int64_t nanoseconds(timespec const& time) noexcept {
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

void put_in_front(std::deque<std::string>& names, fs::path const& path) {
    std::vector<std::string> parts;
    for (auto const& part : path.relative_path()) parts.push_back(part.string());
    names.insert(names.begin(), parts.begin(), parts.end());
}

}  // namespace

PathTrail follow(std::string const& path) {
    PathTrail trail;
    std::error_code error;
    fs::path at = "/";
    std::deque<std::string> names;
    put_in_front(names, fs::absolute(path, error));
    for (auto symlinks = 0; !names.empty();) {
        auto name = names.front();
        names.pop_front();
        if (name.empty() || name == ".") continue;
        if (name == "..") {
            at = at.parent_path();
            continue;
        }
        auto next = at / name;
        auto type = fs::symlink_status(next, error).type();
        auto is_passed_through = type == fs::file_type::directory && !names.empty();
        if (!is_passed_through) trail.entries.push_back({at.string(), name});
        if (type == fs::file_type::not_found || type == fs::file_type::none) return trail;
        if (type != fs::file_type::symlink) {
            at = next;
            continue;
        }
        auto target = fs::read_symlink(next, error);
        if (error || ++symlinks > kSymlinksMax) return trail;
        if (target.is_absolute()) at = "/";
        put_in_front(names, target);
    }
    trail.file = at.string();
    return trail;
}

FileMark mark_of(std::string const& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return {};
    return {status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_ctim),
            nanoseconds(status.st_mtim)};
}

}  // namespace spoke::broker
