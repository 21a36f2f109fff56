#include "bridge/store/file_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace spoke::bridge {
namespace {

std::string first_line(int file) {
    std::array<char, 32> text{};
    auto size = pread(file, text.data(), text.size(), 0);
    std::string line{text.data(), static_cast<std::size_t>(size > 0 ? size : 0)};
    return line.substr(0, line.find('\n'));
}

}  // namespace

FileLock::FileLock(std::string const& path) {
    auto name = path + "-lock";
    file_ = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) {
        throw std::runtime_error{fmt::format("cannot open {}: {}", name, std::strerror(errno))};
    }
    if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
        auto holder = first_line(file_);
        close(file_);
        throw std::runtime_error{
            fmt::format("the store {} is in use by another spoke-bridge{}", path,
                        holder.empty() ? "" : fmt::format(", process {}", holder))};
    }
    // Only to be read by people; a disk that is full does not make the lock any weaker.
    auto line = fmt::format("{}\n", getpid());
    if (ftruncate(file_, 0) == 0 && pwrite(file_, line.data(), line.size(), 0) < 0) errno = 0;
}

FileLock::~FileLock() {
    close(file_);
}

}  // namespace spoke::bridge
