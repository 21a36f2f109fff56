#include "tests/unit/broker/storage/known_store.hpp"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "broker/storage/records.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

namespace spoke::test {
namespace {

using namespace broker;

constexpr std::uint64_t kSessions = 40;
constexpr std::uint64_t kDeliveries = 12;  // of each session

/// Writes records in small batches, and knows what is there.
class Filler {
public:
    explicit Filler(StoreDirectory& opened) : opened_(opened) {}

    void put(std::string const& key, std::string const& value) {
        REQUIRE(batch_.Put(key, value).ok());
        records_[key] = value;
        added();
    }
    void remove(std::string const& key) {
        REQUIRE(batch_.Delete(key).ok());
        records_.erase(key);
        added();
    }
    void write() {
        REQUIRE(opened_.get()->Write({}, &batch_).ok());
        batch_.Clear();
    }
    void flush() {
        write();
        REQUIRE(opened_.get()->Flush({}).ok());
    }
    [[nodiscard]] Records const& records() const { return records_; }

private:
    void added() {
        if (batch_.Count() == kKnownBatch) write();
    }

    StoreDirectory& opened_;
    rocksdb::WriteBatch batch_{};
    Records records_{};
};

void put_session(Filler& filler, SessionNumber session) {
    std::string value;
    auto key = session_key(session);
    encode_session(key, sample_session(session, fmt::format("client {}", session.value)), value);
    filler.put(key, value);
    key = subscription_key(session, "devices/+/state");
    encode_subscription(key, {.identifier = 7, .qos = mqtt::Qos::at_least_once}, value);
    filler.put(key, value);
    key = inbound_key(session, mqtt::PacketId{4});
    encode_inbound(key, value);
    filler.put(key, value);
}

void put_delivery(Filler& filler, SessionNumber session, std::uint64_t number) {
    StoredDelivery delivery;
    delivery.session = session;
    delivery.as.number = DeliveryNumber{number};
    delivery.message_size = 300;
    std::string value;
    auto key = delivery_key(session, delivery.as.number);
    encode_delivery(key, delivery, std::nullopt, value);
    filler.put(key, value);
    auto const payload = fmt::format("{:>200}", number);
    key = message_key(session, delivery.as);
    encode_message(key, *sample_message(fmt::format("devices/{}/state", number), payload), value);
    filler.put(key, value);
}

void put_retained(Filler& filler, std::uint64_t number, std::string_view payload) {
    auto const topic = fmt::format("rooms/{}/temperature", number);
    std::string value;
    auto const key = retained_key(topic);
    encode_retained(key, *sample_message(topic, payload), value);
    filler.put(key, value);
}

void fill(Filler& filler, std::uint64_t first_session, std::uint64_t count) {
    for (auto session = first_session; session < first_session + count; ++session) {
        put_session(filler, SessionNumber{session});
        put_retained(filler, session, "first");
        for (std::uint64_t i = 0; i < kDeliveries; ++i) {
            put_delivery(filler, SessionNumber{session},
                         (std::uint64_t{1} << 40) + session * 100 + i);
        }
    }
}

}  // namespace

std::string StoreLines::from(LogLevel level) const {
    std::lock_guard lock{mutex_};
    std::string text;
    for (auto const& line : lines_) {
        if (line.level >= level) text += line.text + "\n";
    }
    return text;
}

StoreSettings settings_for(std::string const& directory, StoreLines& lines) {
    StoreSettings settings;
    settings.directory = directory;
    settings.log = lines.log();
    return settings;
}

Records records_in(StoreDirectory& opened) {
    Records records;
    for (;;) {
        rocksdb::Status status;
        {
            std::unique_ptr<rocksdb::Iterator> at{opened.get()->NewIterator({})};
            for (at->SeekToFirst(); at->Valid(); at->Next()) {
                if (family_of(at->key().ToStringView()) != RecordFamily::meta)
                    records[at->key().ToString()] = at->value().ToString();
            }
            status = at->status();
        }
        if (status.ok()) return records;
        REQUIRE(StoreDirectory::is_damage(status));
        REQUIRE(opened.rebuild(status.ToString()).ok());
    }
}

Records make_known_store(std::string const& directory) {
    StoreLines lines;
    StoreDirectory opened{settings_for(directory, lines)};
    Filler filler{opened};
    fill(filler, 1, kSessions / 4);
    filler.flush();
    fill(filler, 1 + kSessions / 4, kSessions / 4);
    put_retained(filler, 1, "second");
    filler.remove(retained_key("rooms/2/temperature"));
    filler.flush();
    fill(filler, 1 + kSessions / 2, kSessions / 2);
    put_retained(filler, 3, "third");
    filler.remove(retained_key("rooms/4/temperature"));
    filler.write();
    return filler.records();
}

std::map<std::string, std::string> files_below(std::string const& directory) {
    std::map<std::string, std::string> files;
    for (auto const& entry : std::filesystem::recursive_directory_iterator{directory}) {
        if (!entry.is_regular_file()) continue;
        std::ostringstream bytes;
        bytes << std::ifstream{entry.path(), std::ios::binary}.rdbuf();
        files[std::filesystem::relative(entry.path(), directory).string()] = bytes.str();
    }
    return files;
}

}  // namespace spoke::test
