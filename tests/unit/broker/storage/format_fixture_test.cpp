// A store as each version of the format has left it: later ones must read them.
#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "broker/storage/records.hpp"
#include "broker/storage/store_check.hpp"
#include "broker/storage/store_directory.hpp"
#include "broker/storage/store_reader.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/known_store.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

namespace spoke::test {
namespace {

using namespace broker;
namespace fs = std::filesystem;

std::string const kFixture = std::string{SPOKE_STORE_FIXTURES} + "/format_1";

std::string hex(std::string_view bytes) {
    std::string text;
    for (char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
}

/// As `records.txt` beside a store has them: a record a line.
std::string listing(rocksdb::DB& database) {
    std::string text;
    std::unique_ptr<rocksdb::Iterator> at{database.NewIterator({})};
    for (at->SeekToFirst(); at->Valid(); at->Next())
        text += hex(at->key().ToStringView()) + " " + hex(at->value().ToStringView()) + "\n";
    REQUIRE(at->status().ok());
    return text;
}

/// Every kind of record, with much and with little in it.
class Writer {
public:
    explicit Writer(rocksdb::DB& database) : database_(database) {}

    void meta(MetaField field, std::uint64_t number) {
        auto const key = meta_key(field);
        encode_meta(key, number, value_);
        put(key);
    }
    void session(StoredSession const& session) {
        auto const key = session_key(session.number);
        encode_session(key, session, value_);
        put(key);
    }
    void subscription(std::uint64_t session, std::string_view filter,
                      StoredSubscription const& subscription) {
        auto const key = subscription_key(SessionNumber{session}, filter);
        encode_subscription(key, subscription, value_);
        put(key);
    }
    void inbound(std::uint64_t session, std::uint16_t id) {
        auto const key = inbound_key(SessionNumber{session}, mqtt::PacketId{id});
        encode_inbound(key, value_);
        put(key);
    }
    void delivery(StoredDelivery const& delivery, std::optional<StoredProgress> progress) {
        auto const key = delivery_key(delivery.session, delivery.as.number);
        encode_delivery(key, delivery, progress, value_);
        put(key);
    }
    void message(std::uint64_t session, StoredAs as, MessagePtr const& message) {
        auto const key = message_key(SessionNumber{session}, as);
        encode_message(key, *message, value_);
        put(key);
    }
    void retained(MessagePtr const& message) {
        auto const key = retained_key(message->topic());
        encode_retained(key, *message, value_);
        put(key);
    }

private:
    void put(std::string const& key) { REQUIRE(database_.Put({}, key, value_).ok()); }

    rocksdb::DB& database_;
    std::string value_{};
};

StoredDelivery delivery_of(std::uint64_t session, std::uint64_t number, std::uint32_t back) {
    StoredDelivery delivery;
    delivery.session = SessionNumber{session};
    delivery.as = {DeliveryNumber{(std::uint64_t{2} << 40) + number}, back};
    delivery.message_size = 99;
    return delivery;
}

void write_in_tables(Writer& writer) {
    writer.meta(MetaField::hash_seed, 0x0123'4567'89AB'CDEF);
    writer.meta(MetaField::session_mark, 4096);
    writer.meta(MetaField::starts, 2);
    writer.session(sample_session(SessionNumber{1}, "bike 7"));
    writer.subscription(1, "bikes/7/#", {.identifier = 5, .qos = mqtt::Qos::exactly_once});
    auto const own = delivery_of(1, 1, 0);
    writer.delivery(own, std::nullopt);
    writer.message(1, own.as, sample_message("bikes/7/cmd", "unlock", 1'900'000'000'000));
    writer.retained(sample_message("rooms/1", "warm"));
    writer.retained(sample_message("rooms/2", "to be removed"));
}

void write_in_log(Writer& writer) {
    writer.session({.number = SessionNumber{2},
                    .client_id = "hub",
                    .listener = "inside",
                    .expiry_interval = UINT32_MAX,
                    .is_connected = true});
    writer.subscription(2, "$share/hubs/bikes/+/cmd",
                        {.no_local = false, .retain_as_published = true});
    writer.inbound(2, 65'535);
    auto shared = delivery_of(1, 3, 1);
    shared.ids = SubscriptionIds{5};
    shared.qos = mqtt::Qos::exactly_once;
    shared.deadline = 1'900'000'000'001;
    writer.delivery(shared, std::nullopt);
    auto sent = delivery_of(2, 4, 2);
    sent.share = ShareId{0xFEED};
    sent.retain = true;
    writer.delivery(sent, StoredProgress{OutboundState::awaiting_pubcomp, 70'000, 3});
    writer.message(0, {DeliveryNumber{(std::uint64_t{2} << 40) + 2}, 0},
                   sample_message("bikes/7/cmd", std::string_view{"\0\xFF", 2}));
}

TEST_CASE("A fixture of format 1 is made", "[.][make_format_fixture]") {
    REQUIRE_FALSE(fs::exists(kFixture));
    TempFolder folder;
    auto const directory = folder / "store";
    std::string records;
    {
        StoreLines lines;
        StoreDirectory opened{settings_for(directory, lines)};
        Writer writer{*opened.get()};
        write_in_tables(writer);
        REQUIRE(opened.get()->Flush({}).ok());
        write_in_log(writer);
        REQUIRE(opened.get()->Delete({}, retained_key("rooms/2")).ok());
        records = listing(*opened.get());
    }
    for (auto const& [name, bytes] : files_below(directory)) {
        if (name.ends_with("LOCK") || name.find("LOG") != std::string::npos ||
            name.find("OPTIONS") != std::string::npos)
            continue;
        auto const path = fs::path{kFixture} / "store" / name;
        fs::create_directories(path.parent_path());
        std::ofstream{path, std::ios::binary} << bytes;
    }
    std::ofstream{kFixture + "/records.txt"} << records;
}

TEST_CASE("Format 1: a store that was written with it is read", "[store_directory]") {
    TempFolder folder;
    auto const directory = folder / "store";
    fs::copy(kFixture + "/store", directory, fs::copy_options::recursive);
    {
        StoreReader reader{directory};
        auto const found = check_store(reader);
        CHECK(found.problems.empty());
        CHECK(found.notes.empty());
        CHECK(found.records == 15);
        CHECK(found.tables == 1);
    }
    StoreLines lines;
    StoreDirectory opened{settings_for(directory, lines)};
    auto const text = listing(*opened.get());
    std::ostringstream records;
    records << std::ifstream{kFixture + "/records.txt"}.rdbuf();
    CHECK(text == records.str());
    CHECK(lines.from(LogLevel::info).empty());
    // Fields, and not bytes alone.
    std::string value;
    auto const key = session_key(SessionNumber{1});
    REQUIRE(opened.get()->Get({}, key, &value).ok());
    CHECK(decode_session(key, value).value() == sample_session(SessionNumber{1}, "bike 7"));
}

}  // namespace
}  // namespace spoke::test
