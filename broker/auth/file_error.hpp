#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace spoke::broker {

/// Why a file is not taken: the whole file, for one bad line.
struct FileError {
    std::string file;      // as it was named by whoever reads it
    std::size_t line = 0;  // counted from 1; 0: the file as a whole
    std::string reason;    // no secrets, control characters escaped

    /// "acl.conf:12: unknown word 'tpic'", or without the number.
    [[nodiscard]] std::string text() const;

    friend bool operator==(FileError const&, FileError const&) = default;
};

/// Never thrown: `value()` of a failed result is our own mistake.
[[noreturn]] void throw_exception_from_error(FileError const& error,
                                             boost::source_location const& where);

template <class T>
using FileResult = boost::system::result<T, FileError>;

/// The bytes of a regular file (symlinks are followed).
/// Errors  not there, not readable, no regular file, larger than `bytes_max`.
[[nodiscard]] FileResult<std::string> read_file(std::string const& path, std::size_t bytes_max);

}  // namespace spoke::broker
