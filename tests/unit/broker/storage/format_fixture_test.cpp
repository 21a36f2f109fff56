// A store as each version of the format has left it: later ones must read them.
#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "broker/storage/format_file.hpp"
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

/// What the version of today writes; made once, before it changes.
std::string fixture(std::uint64_t version) {
    return fmt::format("{}/format_{}", SPOKE_STORE_FIXTURES, version);
}

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
    // Since version 2.
    auto told = delivery_of(2, 5, 0);
    told.wants_receipt = true;
    writer.delivery(told, StoredProgress{OutboundState::awaiting_puback, 70'001, 0});
    writer.message(2, told.as, sample_told_message("bikes/7/cmd", "ring"));
}

/// A listing without its line of the version, which is not that of the store it was made from.
std::string without_version(std::string text) {
    auto const begin = text.find(hex(meta_key(MetaField::format_version)) + " ");
    return text.erase(begin, text.find('\n', begin) + 1 - begin);
}

TEST_CASE("A fixture of today's format is made", "[.][make_format_fixture]") {
    auto const made = fixture(kFormatVersion);
    REQUIRE_FALSE(fs::exists(made));
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
        auto const path = fs::path{made} / "store" / name;
        fs::create_directories(path.parent_path());
        std::ofstream{path, std::ios::binary} << bytes;
    }
    std::ofstream{made + "/records.txt"} << records;
}

TEST_CASE("Format: a store that was written with any version so far is read", "[store_directory]") {
    std::uint64_t const version = GENERATE(1U, 2U);
    CAPTURE(version);
    TempFolder folder;
    auto const directory = folder / "store";
    fs::copy(fixture(version) + "/store", directory, fs::copy_options::recursive);
    {
        StoreReader reader{directory};
        auto const found = check_store(reader);
        CHECK(found.problems.empty());
        CHECK(found.notes.empty());
        CHECK(found.records == (version == 1 ? 15 : 17));
        CHECK(found.tables == 1);
    }
    StoreLines lines;
    StoreDirectory opened{settings_for(directory, lines)};
    auto const text = listing(*opened.get());
    std::ostringstream records;
    records << std::ifstream{fixture(version) + "/records.txt"}.rdbuf();
    CHECK(without_version(text) == without_version(records.str()));
    CHECK(folder.read("store/FORMAT") == format_file_text(kFormatVersion));
    CHECK(lines.from(LogLevel::info) ==
          (version == 1 ? "store: brought from format 1 to 2\n" : ""));
    // Fields, and not bytes alone.
    std::string value;
    auto const key = session_key(SessionNumber{1});
    REQUIRE(opened.get()->Get({}, key, &value).ok());
    CHECK(decode_session(key, value).value() == sample_session(SessionNumber{1}, "bike 7"));
}

}  // namespace
}  // namespace spoke::test
