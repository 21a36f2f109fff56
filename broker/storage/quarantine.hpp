#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "broker/storage/store_settings.hpp"

namespace rocksdb {
class Env;
class WritableFile;
}  // namespace rocksdb

namespace spoke::broker {

/// `DIRECTORY/quarantine`: where goes what a store cannot use, so that nothing is thrown away that
/// a person could still make sense of. Each file begins with the time (UTC) at which it came. What
/// cannot be put there is told in the log; the broker goes on.
class Quarantine {
public:
    /// `env` outlives it.
    Quarantine(rocksdb::Env& env, std::string const& directory, StoreLog log);
    ~Quarantine();
    Quarantine(Quarantine const&) = delete;
    Quarantine& operator=(Quarantine const&) = delete;

    /// A record that is not what was written: appended, as one line of text, to a file for all that
    /// come in the life of this object.
    void keep_record(std::string_view key, std::string_view value, std::string_view why);
    /// Copies the file.
    void keep_copy(std::string const& path, std::string_view why);
    /// Moves the file or directory there; gives where it is now, or empty: it is where it was.
    std::string move_here(std::string const& path, std::string_view why);

    /// Records kept or lost so far.
    [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
    void count(std::uint64_t records) noexcept { records_ += records; }

private:
    [[nodiscard]] rocksdb::Status make_directory();
    [[nodiscard]] std::string new_path(std::string_view name);
    void failed(std::string_view what, rocksdb::Status const& status);

    rocksdb::Env& env_;
    std::string directory_;
    StoreLog log_;
    std::string records_path_{};
    std::unique_ptr<rocksdb::WritableFile> records_file_{};
    std::uint64_t records_ = 0;
    std::uint64_t lines_ = 0;
};

}  // namespace spoke::broker
