#include "broker/auth/file_error.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "protocol/base/assert.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {
namespace {

constexpr std::size_t kChunk = 64U << 10;

std::string last_error() {
    return std::strerror(errno);
}

}  // namespace

std::string FileError::text() const {
    if (line == 0) return fmt::format("{}: {}", escaped(file), reason);
    return fmt::format("{}:{}: {}", escaped(file), line, reason);
}

void throw_exception_from_error(FileError const&, boost::source_location const& where) {
    assertion_failed("a value was taken from a failed result", where.file_name(),
                     static_cast<int>(where.line()));
}

FileResult<std::string> read_file(std::string const& path, std::size_t bytes_max) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return FileError{path, 0, last_error()};
    // A pipe or a device might never end, or never begin.
    if (!S_ISREG(status.st_mode)) return FileError{path, 0, "is not a regular file"};
    std::ifstream file{path, std::ios::binary};
    if (!file) return FileError{path, 0, last_error()};
    std::string text;
    while (file && text.size() <= bytes_max) {
        auto have = text.size();
        text.resize(have + std::min(kChunk, bytes_max + 1 - have));
        file.read(text.data() + have, static_cast<std::streamsize>(text.size() - have));
        text.resize(have + static_cast<std::size_t>(file.gcount()));
    }
    if (file.bad()) return FileError{path, 0, "cannot be read"};
    if (text.size() > bytes_max)
        return FileError{path, 0, fmt::format("is larger than {} bytes", bytes_max)};
    return {boost::system::in_place_value, std::move(text)};
}

}  // namespace spoke::broker
