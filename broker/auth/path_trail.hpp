#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spoke::broker {

/// How the system gets from a path to its file, symlinks followed one by one.
struct PathTrail {
    /// A name that was looked up in a folder on the way: another entry of this name there may lead
    /// to another file. Only those that matter: the file itself, symlinks, and what is missing.
    struct Entry {
        std::string folder;
        std::string name;
        friend auto operator<=>(Entry const&, Entry const&) = default;
    };

    std::vector<Entry> entries;
    std::optional<std::string> file;  // without symlinks; nullopt if the way ends before

    friend bool operator==(PathTrail const&, PathTrail const&) = default;
};

[[nodiscard]] PathTrail follow(std::string const& path);

/// What tells one state of a file from another without reading it; equal for files that are not
/// there.
struct FileMark {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t changed_ns = 0;   // content or attributes
    std::int64_t modified_ns = 0;  // content

    friend bool operator==(FileMark const&, FileMark const&) = default;
};

[[nodiscard]] FileMark mark_of(std::string const& path);

}  // namespace spoke::broker
