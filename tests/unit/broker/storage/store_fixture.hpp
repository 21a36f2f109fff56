#pragma once

#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/ports/store.hpp"
#include "broker/storage/rocksdb_store.hpp"
#include "tests/support/temp_folder.hpp"

namespace spoke::test {

enum class StoreKind { reference, rocksdb };
std::ostream& operator<<(std::ostream& out, StoreKind kind);
/// What each test of the contract is run with.
[[nodiscard]] inline auto store_kinds() {
    return Catch::Generators::values({StoreKind::reference, StoreKind::rocksdb});
}

inline constexpr WallTime kNow{std::chrono::milliseconds{1'700'000'000'000}};

/// What a store told when it was loaded, in order, as lines of text; those of deliveries carry the
/// message that was read for them.
struct Loaded {
    std::vector<broker::StoredSession> sessions{};
    std::vector<std::string> lines{};
    friend bool operator==(Loaded const& a, Loaded const& b) { return a.lines == b.lines; }
};

/// A store of either kind and what it is told and tells: a test plays the shards. Numbers in
/// lines are replaced by the names that the test gave them, so that stores which count differently
/// can be compared.
class StoreFixture {
public:
    explicit StoreFixture(StoreKind kind);
    /// A RocksDbStore, whatever directory the settings name.
    explicit StoreFixture(broker::StoreSettings settings);
    ~StoreFixture();
    StoreFixture(StoreFixture const&) = delete;
    StoreFixture& operator=(StoreFixture const&) = delete;

    [[nodiscard]] broker::Store& store() { return *store_; }
    [[nodiscard]] broker::ShardStore& shard(std::uint8_t index = 0) {
        return store_->of_shard(index);
    }

    /// Of a fixture with settings.
    [[nodiscard]] broker::RocksDbStore& rocksdb();

    /// Stops the store and gives what another finds on the same data.
    Loaded reopen(WallTime now = kNow);
    /// The same, but nobody looks.
    void restart();
    [[nodiscard]] std::string const& directory() const noexcept { return settings_.directory; }
    /// Hands over what the shard has changed and waits until it is durable, the ends of deliveries
    /// too.
    void commit(std::uint8_t index = 0);
    /// Waits for a message per delivery; "-" where there is none.
    [[nodiscard]] std::vector<std::string> read(broker::SessionNumber session,
                                                std::vector<broker::StoredAs> const& deliveries,
                                                std::uint8_t index = 0);
    /// Until `holds`, asked for anew whenever the store has woken a shard, is true.
    void await(std::function<bool()> const& holds);
    [[nodiscard]] std::size_t wakes(std::uint8_t index) const;

    /// What put_retained() finds; null: nothing.
    void set_retained(std::string const& topic, broker::MessagePtr message);

    /// A new session, stored under the name as its client id.
    broker::SessionNumber add_session(std::string const& name, std::uint8_t index = 0);
    /// A message and its deliveries, one per session, with numbers from the shard.
    std::vector<broker::StoredAs> add_message(std::string const& name,
                                              std::vector<broker::SessionNumber> const& sessions,
                                              std::uint8_t index = 0);
    void name_session(broker::SessionNumber number, std::string name);
    void name_delivery(broker::DeliveryNumber number, std::string name);

    class Visitor;

private:
    void open();
    void start();
    Loaded load(WallTime now);

    StoreKind kind_;
    TempFolder folder_{};
    broker::StoreSettings settings_{};
    std::unique_ptr<broker::Store> store_{};
    mutable std::mutex mutex_;
    std::condition_variable woken_;
    std::map<std::uint8_t, std::size_t> wakes_{};
    std::map<std::string, broker::MessagePtr, std::less<>> retained_{};
    std::map<broker::SessionNumber, std::string> session_names_{};
    std::map<broker::DeliveryNumber, std::string> delivery_names_{};
};

[[nodiscard]] std::string to_line(broker::MessagePtr const& message);

}  // namespace spoke::test
