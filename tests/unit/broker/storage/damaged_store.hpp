#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/store_directory.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/known_store.hpp"
#include "tests/unit/broker/storage/step_env.hpp"
#include "tests/unit/broker/storage/used_env.hpp"

namespace spoke::test {

[[nodiscard]] inline bool is_table(std::string_view name) {
    return name.ends_with(".sst");
}
[[nodiscard]] inline bool is_wal(std::string_view name) {
    return name.ends_with(".log");
}

/// One bit of that byte, whichever.
inline void flip_bit(std::string& bytes, std::size_t at, std::mt19937_64& random) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
}

/// A store with known records, and what became of it. While it lives, stores do not sync.
class DamagedStore {
public:
    DamagedStore() : records_(make_known_store(directory())) {
        std::filesystem::create_directory(folder_ / "kept");
        std::filesystem::copy(directory(), folder_ / "kept/store",
                              std::filesystem::copy_options::recursive);
    }

    [[nodiscard]] std::string directory() const { return folder_ / "store"; }
    [[nodiscard]] Records const& records() const { return records_; }
    void restore() const {
        std::filesystem::remove_all(directory());
        std::filesystem::copy(folder_ / "kept/store", directory(),
                              std::filesystem::copy_options::recursive);
    }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (auto const& [name, bytes] : files_below(folder_ / "kept/store")) {
            // RocksDB's log for people, and locks, are not looked at.
            if (!name.ends_with("LOG") && !name.ends_with("LOCK")) names.push_back(name);
        }
        return names;
    }
    /// So many times for each file, which time it is: the store as it was made, to be damaged
    /// there.
    template <class Visit>
    void for_each_file(int times, Visit const& visit) const {
        for (auto const& name : files()) {
            for (int time = 0; time < times; ++time) {
                restore();
                visit(name, file(name), time);
            }
        }
    }
    [[nodiscard]] std::string file(std::string_view name) const {
        return folder_.read(fmt::format("kept/store/{}", name));
    }
    void put(std::string_view name, std::string_view bytes) const {
        folder_.write(fmt::format("store/{}", name), bytes);
    }
    void remove(std::string_view name) const {
        std::filesystem::remove(folder_ / fmt::format("store/{}", name));
    }

    struct Found {
        std::size_t lost = 0;  // of the known records
        std::uint64_t quarantined = 0;
        std::string warnings{};
        Records records{};  // all there are
    };
    /// Opens it, and once more, when there must be nothing left to repair.
    [[nodiscard]] Found open() const {
        StoreLines lines;
        Found found;
        Records first;
        {
            broker::StoreDirectory opened{settings_for(directory(), lines)};
            first = records_in(opened);
            found.quarantined = opened.quarantined();
            found.warnings = lines.from(LogLevel::warning);
        }
        for (auto const& [key, value] : records_) {
            auto const at = first.find(key);
            if (at == first.end() || at->second != value) ++found.lost;
        }
        StoreLines again;
        broker::StoreDirectory opened{settings_for(directory(), again)};
        CHECK(records_in(opened) == first);
        CHECK(again.from(LogLevel::info).empty());
        CHECK(opened.quarantined() == 0);
        found.records = std::move(first);
        return found;
    }

private:
    std::unique_ptr<rocksdb::Env> env_ = make_hasty_env();
    UsedEnv used_{*env_};
    TempFolder folder_{};
    Records records_;
};

}  // namespace spoke::test
