#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "broker/auth/file_error.hpp"

namespace spoke::broker {

/// The content of a file, read whole and exchanged whole: who took a snapshot keeps it for as long
/// as it wants, the next one gets the new content. Any thread.
template <class T>
class Reloadable {
public:
    /// What makes a T of a file's text; `name` is for its errors.
    using Parse = std::function<FileResult<T>(std::string_view text, std::string_view name)>;

    /// Reads the file for the first time.
    /// Errors  std::runtime_error with FileError::text(): there is no old content to go on with.
    Reloadable(std::string path, std::size_t bytes_max, Parse parse)
        : path_(std::move(path)), bytes_max_(bytes_max), parse_(std::move(parse)) {
        if (auto error = reload()) throw std::runtime_error{error->text()};
    }

    /// Reads the file again. nullopt: the new content holds. Else the old content still does, and
    /// the error is what to log.
    [[nodiscard]] std::optional<FileError> reload() {
        std::lock_guard one_at_a_time{reloading_};
        auto text = read_file(path_, bytes_max_);
        if (!text) return text.error();
        auto parsed = parse_(*text, path_);
        if (!parsed) return parsed.error();
        auto fresh = std::make_shared<T const>(std::move(*parsed));
        {
            std::lock_guard lock{mutex_};
            content_.swap(fresh);
        }
        generation_.fetch_add(1, std::memory_order_release);
        return std::nullopt;
    }

    [[nodiscard]] std::shared_ptr<T const> snapshot() const {
        std::lock_guard lock{mutex_};
        return content_;
    }

    /// Counts the contents there have been, from 1. A snapshot taken after it was read is of this
    /// generation or a later one.
    [[nodiscard]] std::uint64_t generation() const noexcept {
        return generation_.load(std::memory_order_acquire);
    }

    [[nodiscard]] std::string const& path() const noexcept { return path_; }

private:
    std::string path_;
    std::size_t bytes_max_;
    Parse parse_;
    std::mutex reloading_;
    mutable std::mutex mutex_;
    std::shared_ptr<T const> content_;
    std::atomic<std::uint64_t> generation_{0};
};

}  // namespace spoke::broker
