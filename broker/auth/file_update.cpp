#include "broker/auth/file_update.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace spoke::broker {
namespace {

namespace fs = std::filesystem;

FileError system_error(std::string const& path, std::string_view doing) {
    return {path, 0, fmt::format("{}: {}", doing, std::strerror(errno))};
}

class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor() {
        if (is_open()) close(number_);
    }
    Descriptor(Descriptor const&) = delete;
    Descriptor& operator=(Descriptor const&) = delete;
    [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_;
};

/// A file beside the one to be exchanged; gone again unless it takes its place.
class TempFile {
public:
    explicit TempFile(std::string const& path)
        : name_(path + ".XXXXXX"), file_(mkostemp(name_.data(), O_CLOEXEC)) {}
    ~TempFile() {
        if (file_.is_open() && !name_.empty()) unlink(name_.c_str());
    }
    TempFile(TempFile const&) = delete;
    TempFile& operator=(TempFile const&) = delete;

    [[nodiscard]] bool is_open() const noexcept { return file_.is_open(); }

    /// Mode and owner of an existing file. mkostemp has made it 0600.
    [[nodiscard]] bool look_like(struct stat const& old) const {
        // Only root may give files away; for others the group at least may be theirs to give.
        if (fchown(file_.number(), old.st_uid, old.st_gid) != 0 &&
            fchown(file_.number(), static_cast<uid_t>(-1), old.st_gid) != 0 && errno != EPERM)
            return false;
        return fchmod(file_.number(), old.st_mode & 07777) == 0;
    }

    [[nodiscard]] bool write_all(std::string_view text) const {
        while (!text.empty()) {
            auto written = write(file_.number(), text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(written));
        }
        return fsync(file_.number()) == 0;
    }

    [[nodiscard]] bool take_place_of(std::string const& path) {
        if (rename(name_.c_str(), path.c_str()) != 0) return false;
        name_.clear();
        return true;
    }

private:
    std::string name_;
    Descriptor file_;
};

/// Where the text really is.
std::string target_of(std::string const& path) {
    std::error_code error;
    auto target = fs::weakly_canonical(fs::absolute(path, error), error);
    return error ? path : target.string();
}

std::optional<FileError> replace(std::string const& target, std::string_view text) {
    TempFile fresh{target};
    if (!fresh.is_open()) return system_error(target, "cannot write beside it");
    struct stat old {};
    if (stat(target.c_str(), &old) == 0 && !fresh.look_like(old))
        return system_error(target, "cannot keep mode and owner");
    if (!fresh.write_all(text)) return system_error(target, "cannot write");
    if (!fresh.take_place_of(target)) return system_error(target, "cannot exchange");
    return std::nullopt;
}

}  // namespace

FileResult<std::string> try_edit(std::string const& path, std::size_t bytes_max,
                                 EditFile const& edit) {
    if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) return edit(std::nullopt);
    auto text = read_file(path, bytes_max);
    if (!text) return text.error();
    return edit(*text);
}

std::optional<FileError> update_file(std::string const& path, std::size_t bytes_max,
                                     EditFile const& edit) {
    auto target = target_of(path);
    auto folder = fs::path{target}.parent_path().string();
    Descriptor lock{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!lock.is_open() || flock(lock.number(), LOCK_EX) != 0)
        return system_error(path, "cannot open its folder");
    auto text = try_edit(target, bytes_max, edit);
    if (!text) return text.error();
    if (auto error = replace(target, *text)) return error;
    // The file is exchanged; this makes it outlive a loss of power.
    if (fsync(lock.number()) != 0) return system_error(path, "is changed, but not yet for sure");
    return std::nullopt;
}

}  // namespace spoke::broker
