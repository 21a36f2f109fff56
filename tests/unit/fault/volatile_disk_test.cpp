#include "tests/fault/disk/volatile_disk.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/seed.hpp"
#include "tests/support/temp_folder.hpp"

using namespace spoke::fault;
using spoke::test::TempFolder;

namespace {

/// Lets nothing through that was not synced.
constexpr Temper kStrict{};

struct Disk {
    TempFolder folder;
    VolatileDisk disk;

    explicit Disk(Temper temper = kStrict, std::uint64_t seed = 1) : disk{seed, temper} {}

    [[nodiscard]] std::string path(std::string const& name) const { return folder / name; }
    [[nodiscard]] bool is_durable(std::string const& name) const {
        return std::filesystem::exists(path(name));
    }
    void sync_names() { disk.sync_directory(folder.path().string()); }
    std::string seen(std::string const& name) {
        auto inode = disk.open(path(name));
        std::string data(disk.size_of(*inode), '?');
        REQUIRE(disk.read(*inode, 0, data.size(), data.data()) == data.size());
        return data;
    }
};

}  // namespace

TEST_CASE("volatile disk: what is not synced is seen, and not durable", "[fault]") {
    Disk d;
    auto file = d.disk.create(d.path("a"));
    d.sync_names();
    d.disk.append(*file, "synced");
    d.disk.sync(*file);
    d.disk.append(*file, " not");
    REQUIRE(d.seen("a") == "synced not");
    REQUIRE(d.disk.size(d.path("a")) == 10);
    REQUIRE(d.folder.read("a") == "synced");
}

TEST_CASE("volatile disk: a name is durable once its directory is synced", "[fault]") {
    Disk d;
    auto file = d.disk.create(d.path("a"));
    d.disk.append(*file, "data");
    d.disk.sync(*file);
    REQUIRE(d.disk.exists(d.path("a")));
    REQUIRE(d.disk.list(d.folder.path().string()) == std::vector<std::string>{"a"});
    REQUIRE_FALSE(d.is_durable("a"));
    d.sync_names();
    REQUIRE(d.folder.read("a") == "data");
}

TEST_CASE("volatile disk: a name that is durable before its data is an empty file", "[fault]") {
    Disk d;
    auto file = d.disk.create(d.path("a"));
    d.disk.append(*file, "data");
    d.sync_names();
    REQUIRE(d.is_durable("a"));
    REQUIRE(d.folder.read("a").empty());
}

TEST_CASE("volatile disk: a rename puts the old file in place of the new one at once, later",
          "[fault]") {
    Disk d;
    d.folder.write("current", "old");
    auto replaced = d.disk.open(d.path("current"));
    auto file = d.disk.create(d.path("new"));
    d.disk.append(*file, "new");
    d.disk.sync(*file);
    REQUIRE(d.disk.rename(d.path("new"), d.path("current")));
    REQUIRE(d.seen("current") == "new");
    REQUIRE_FALSE(d.disk.exists(d.path("new")));
    REQUIRE(d.folder.read("current") == "old");
    d.sync_names();
    REQUIRE(d.folder.read("current") == "new");
    REQUIRE_FALSE(d.is_durable("new"));
    // Who still has the old one open writes to a file without a name.
    d.disk.append(*replaced, "er");
    d.disk.sync(*replaced);
    REQUIRE(d.folder.read("current") == "new");
}

TEST_CASE("volatile disk: a removed file is back after a power cut unless its directory was synced",
          "[fault]") {
    Disk d;
    d.folder.write("a", "data");
    REQUIRE(d.disk.remove(d.path("a")));
    REQUIRE_FALSE(d.disk.remove(d.path("a")));
    REQUIRE_FALSE(d.disk.exists(d.path("a")));
    REQUIRE(d.disk.list(d.folder.path().string()).empty());
    REQUIRE(d.folder.read("a") == "data");
    d.sync_names();
    REQUIRE_FALSE(d.is_durable("a"));
}

TEST_CASE("volatile disk: what a failed sync did not write is never durable", "[fault]") {
    Disk d;
    auto file = d.disk.create(d.path("a"));
    d.sync_names();
    d.disk.append(*file, "good");
    d.disk.sync(*file);
    d.disk.append(*file, "lost");
    d.disk.fail_sync(*file);
    REQUIRE(d.seen("a") == "goodlost");
    d.disk.append(*file, "more");
    d.disk.sync(*file);  // says that all is well
    REQUIRE(d.folder.read("a") == std::string{"good\0\0\0\0more", 12});
}

TEST_CASE("volatile disk: a directory is renamed at once, with what is in it", "[fault]") {
    Disk d;
    std::filesystem::create_directory(d.path("old"));
    d.folder.write("old/real", "real");
    auto file = d.disk.create(d.path("old/a"));
    d.disk.append(*file, "data");
    REQUIRE(d.disk.remove(d.path("old/real")));
    d.disk.rename_directory(d.path("old"), d.path("new"));
    REQUIRE(d.disk.list(d.path("new")) == std::vector<std::string>{"a"});
    REQUIRE(d.folder.read("new/a") == "data");
    d.disk.append(*file, "+");
    REQUIRE(d.seen("new/a") == "data+");
    REQUIRE(d.folder.read("new/a") == "data");
    d.disk.sync(*file);
    REQUIRE(d.folder.read("new/a") == "data+");
    REQUIRE_FALSE(d.disk.exists(d.path("old/a")));
}

TEST_CASE("volatile disk: a directory can be removed once its files are", "[fault]") {
    Disk d;
    std::filesystem::create_directory(d.path("old"));
    auto file = d.disk.create(d.path("old/a"));
    d.disk.sync_directory(d.path("old"));
    REQUIRE(d.disk.remove(d.path("old/a")));
    REQUIRE(d.is_durable("old/a"));
    d.disk.prepare_to_remove_directory(d.path("old"));
    REQUIRE(std::filesystem::remove(d.path("old")));
}

TEST_CASE("volatile disk: a program that ends in peace leaves everything", "[fault]") {
    Disk d;
    d.folder.write("gone", "x");
    auto file = d.disk.create(d.path("a"));
    d.disk.append(*file, "data");
    d.disk.remove(d.path("gone"));
    d.disk.write_all();
    REQUIRE(d.folder.read("a") == "data");
    REQUIRE_FALSE(d.is_durable("gone"));
}

TEST_CASE("volatile disk: the last write may be torn at any byte", "[fault]") {
    Temper torn;
    torn.early_data = 1;
    std::set<std::size_t> sizes;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Disk d{torn, seed};
        auto file = d.disk.create(d.path("a"));
        d.sync_names();
        d.disk.append(*file, "0123456789");
        auto durable = d.folder.read("a");
        REQUIRE(durable == std::string_view{"0123456789"}.substr(0, durable.size()));
        sizes.insert(durable.size());
    }
    REQUIRE(sizes.size() == 10);  // 1 to 10
}

TEST_CASE("volatile disk: whatever gets through early, what was synced is there", "[fault]") {
    auto seed = spoke::test::seed_or(20261126);
    INFO("seed " << seed);
    Disk d{{0.5, 0.5, 0.5, 0}, seed};
    std::mt19937_64 random{seed};
    struct Known {
        std::string name;
        InodePtr inode;
        std::string data;
        std::size_t synced = 0;
        bool has_name = false;
    };
    std::vector<Known> files;
    for (int step = 0; step < 2000; ++step) {
        auto what = random() % 10;
        if (files.empty() || what == 0) {
            auto name = "f" + std::to_string(step);
            files.push_back({name, d.disk.create(d.path(name)), {}});
            continue;
        }
        auto& file = files[random() % files.size()];
        if (what == 1) {
            d.sync_names();
            for (auto& each : files) each.has_name = true;
        } else if (what == 2) {
            d.disk.sync(*file.inode);
            file.synced = file.data.size();
        } else {
            std::string more(1 + random() % 3000, static_cast<char>('a' + step % 26));
            d.disk.append(*file.inode, more);
            file.data += more;
        }
        for (auto const& known : files) {
            auto durable = d.folder.read(known.name);
            REQUIRE(durable.size() <= known.data.size());
            if (known.has_name)
                REQUIRE(durable.substr(0, known.synced) == known.data.substr(0, known.synced));
            for (std::size_t at = 0; at < durable.size(); ++at)
                if (durable[at] != known.data[at]) REQUIRE(durable[at] == '\0');
        }
        if (files.size() > 8) files.clear();
    }
}
