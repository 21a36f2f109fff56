#include "broker/storage/store_folder.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <vector>

#include "broker/storage/files.hpp"
#include "broker/storage/format_file.hpp"
#include "broker/storage/store_lock.hpp"

namespace spoke::broker {
namespace {

/// Besides a FORMAT or a database, these may be in a directory that is to become a store.
constexpr std::array<std::string_view, 5> kHarmless{"LOCK", "FORMAT.new", "lost+found",
                                                    "quarantine", kUnfinishedName};

std::string text_of(int error) {
    return std::generic_category().message(error);
}

void check_is_directory(std::string const& directory) {
    struct stat found {};
    if (::stat(directory.c_str(), &found) != 0)
        throw StoreError{
            fmt::format("the store '{}' cannot be read: {}", directory, text_of(errno))};
    if (!S_ISDIR(found.st_mode))
        throw StoreError{fmt::format("the store '{}' is not a directory: name another", directory)};
}

}  // namespace

FoundStore find_store(rocksdb::Env& env, std::string const& directory) {
    check_is_directory(directory);
    std::vector<std::string> names;
    auto status = list_directory(env, directory, names);
    if (!status.ok())
        throw StoreError{
            fmt::format("the store '{}' cannot be read: {}: let user {} do so, or "
                        "name another directory",
                        directory, status.ToString(), ::geteuid())};
    auto const has = [&](std::string_view name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    FoundStore found;
    found.has_format = has(kFormatFileName);
    found.has_database = has(kDatabaseName) || has(kRebuiltName);
    if (found.has_format) {
        std::string text;
        status = read_file(env, directory + "/" + kFormatFileName, text);
        if (!status.ok())
            throw StoreError{
                fmt::format("the store '{}' cannot be read: {}", directory, status.ToString())};
        found.version = format_version_in(text);
        found.format_is_damaged = !found.version;
    }
    if (found.version || found.has_database) return found;
    for (auto const& name : names) {
        if (std::find(kHarmless.begin(), kHarmless.end(), name) != kHarmless.end()) continue;
        if (name == kFormatFileName) continue;
        throw StoreError{fmt::format(
            "the directory '{}' holds '{}', which is not of a store: name one that is empty",
            directory, name)};
    }
    return found;
}

void make_store_folder(std::string const& directory) {
    for (std::size_t end = 1; end <= directory.size(); ++end) {
        if (end < directory.size() && directory[end] != '/') continue;
        auto const part = directory.substr(0, end);
        if (::mkdir(part.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
            auto const error = errno;
            // A directory above may be there and not be ours to write in.
            if (end < directory.size() && ::access(part.c_str(), F_OK) == 0) continue;
            throw StoreError{fmt::format(
                "the store '{}' cannot be made: {}: make it for user {}, or name another directory",
                directory, text_of(error), ::geteuid())};
        }
    }
}

}  // namespace spoke::broker
