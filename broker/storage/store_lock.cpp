#include "broker/storage/store_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace spoke::broker {
namespace {

std::string text_of(int error) {
    return std::generic_category().message(error);
}

/// " by process 1234", as far as it is known.
std::string holder(int descriptor) {
    std::array<char, 16> text{};
    auto const size = ::pread(descriptor, text.data(), text.size(), 0);
    std::string digits{text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    digits.resize(std::min(digits.size(), digits.find_first_not_of("0123456789")));
    return digits.empty() ? " by another process" : fmt::format(" by process {}", digits);
}

}  // namespace

StoreLock::StoreLock(std::string const& directory, Kind kind) {
    auto const path = directory + "/LOCK";
    auto const is_exclusive = kind == Kind::exclusive;
    descriptor_ = ::open(path.c_str(), (is_exclusive ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC,
                         S_IRUSR | S_IWUSR);
    if (descriptor_ < 0 && errno == ENOENT && !is_exclusive) return;
    if (descriptor_ < 0)
        throw StoreError{fmt::format(
            "the store '{}' cannot be {}: {}: let user {} do so, or name another directory",
            directory, is_exclusive ? "written" : "read", text_of(errno), ::geteuid())};
    if (::flock(descriptor_, (is_exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        auto const error = errno;
        auto const who = holder(descriptor_);
        ::close(descriptor_);
        throw StoreError{
            error == EWOULDBLOCK
                ? fmt::format("the store '{}' is in use{}: stop that, or name another directory",
                              directory, who)
                : fmt::format("the store '{}' cannot be locked: {}", directory, text_of(error))};
    }
    if (!is_exclusive) return;
    auto const process = fmt::format("{}\n", ::getpid());
    // For people who look for the holder: the lock holds without it.
    if (::ftruncate(descriptor_, 0) == 0)
        static_cast<void>(::pwrite(descriptor_, process.data(), process.size(), 0) < 0);
}

StoreLock::~StoreLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace spoke::broker
