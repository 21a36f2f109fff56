#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "broker/storage/database_options.hpp"
#include "broker/storage/files.hpp"
#include "broker/storage/format_file.hpp"
#include "broker/storage/records.hpp"
#include "protocol/base/assert.hpp"
#include "tests/fuzz/samples.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

namespace spoke::fuzz {
namespace {

using namespace spoke::broker;

constexpr std::size_t kChecksumSize = 4;

using Records = std::vector<std::pair<std::string, std::string>>;

StoredDelivery sample_delivery(SessionNumber session, std::uint32_t message_back) {
    StoredDelivery delivery;
    delivery.session = session;
    delivery.as = {DeliveryNumber{0x30000000007}, message_back};
    delivery.ids = SubscriptionIds{std::vector<std::uint32_t>{5, 300}};
    delivery.share = ShareId{0x0123456789ABCDEF};
    delivery.deadline = 1'700'000'060'000;
    delivery.message_size = 200;
    delivery.qos = mqtt::Qos::exactly_once;
    delivery.retain = true;
    return delivery;
}

/// One of each kind, with something in every field.
Records sample_records() {
    Records records;
    SessionNumber const session{0x0102030405};
    auto add = [&](std::string key, auto const& encode) {
        std::string value;
        encode(key, value);
        records.emplace_back(std::move(key), std::move(value));
    };
    auto const message = test::sample_message("d/7/cmd", "open", 1'700'000'060'000);
    auto const delivery = sample_delivery(session, 2);
    add(meta_key(MetaField::hash_seed),
        [&](auto const& key, auto& out) { encode_meta(key, 77, out); });
    add(session_key(session), [&](auto const& key, auto& out) {
        encode_session(key, test::sample_session(session, "b7"), out);
    });
    add(subscription_key(session, "$share/g/d/+/#"), [&](auto const& key, auto& out) {
        encode_subscription(key, {300, mqtt::Qos::exactly_once, true, true}, out);
    });
    add(inbound_key(session, mqtt::PacketId{9}),
        [&](auto const& key, auto& out) { encode_inbound(key, out); });
    add(delivery_key(session, delivery.as.number), [&](auto const& key, auto& out) {
        encode_delivery(key, delivery, StoredProgress{OutboundState::awaiting_pubcomp, 300, 2},
                        out);
    });
    auto const own = sample_delivery(session, 0);
    add(delivery_key(session, own.as.number),
        [&](auto const& key, auto& out) { encode_delivery(key, own, std::nullopt, out); });
    add(message_key(session, delivery.as),
        [&](auto const& key, auto& out) { encode_message(key, *message, out); });
    add(retained_key("d/7/state"),
        [&](auto const& key, auto& out) { encode_retained(key, *message, out); });
    return records;
}

Buffer to_input(std::initializer_list<std::string_view> parts) {
    Buffer input;
    for (auto part : parts) {
        auto bytes = as_bytes(part);
        input.insert(input.end(), bytes.begin(), bytes.end());
    }
    return input;
}

std::vector<Buffer> record_inputs() {
    std::vector<Buffer> inputs;
    for (auto const& [key, value] : sample_records()) {
        std::string const size(1, static_cast<char>(key.size()));
        auto fields = std::string_view{value}.substr(0, value.size() - kChecksumSize);
        inputs.push_back(to_input({size, key, fields}));
    }
    return inputs;
}

/// The files of a small database whose names end so, each behind `first`.
std::vector<Buffer> files_of_database(std::string_view first, std::string_view part_of_name) {
    std::unique_ptr<rocksdb::Env> env{rocksdb::NewMemEnv(rocksdb::Env::Default())};
    std::string const path = "/db";
    auto options = database_options({});
    options.env = env.get();
    rocksdb::DB* opened = nullptr;
    MQ_ASSERT(rocksdb::DB::Open(options, path, &opened).ok());
    std::unique_ptr<rocksdb::DB> database{opened};
    auto put_all = [&] {
        for (auto const& [key, value] : sample_records())
            MQ_ASSERT(database->Put({}, key, value).ok());
    };
    put_all();
    MQ_ASSERT(database->Flush({}).ok());
    put_all();
    MQ_ASSERT(database->Delete({}, retained_key("d/7/state")).ok());
    std::vector<std::string> names;
    MQ_ASSERT(list_directory(*env, path, names).ok());
    std::vector<Buffer> files;
    for (auto const& name : names) {
        std::string bytes;
        if (name.find(part_of_name) == std::string::npos) continue;
        if (read_file(*env, path + "/" + name, bytes).ok())
            files.push_back(to_input({first, bytes}));
    }
    database.reset();
    return files;
}

std::vector<Buffer> manifests() {
    std::string const zero(1, '\0');
    auto inputs = files_of_database(zero, "MANIFEST");
    // A log number, a new table and one that is gone.
    constexpr std::string_view kEdit{
        "\x02\x05\x67\x00\x08\x90\x0A\x02kx\x02kz\x01\x09\x01\x06\x00\x07", 18};
    inputs.push_back(to_input({"\x01", kEdit}));
    inputs.push_back(to_input({"\x02", "MANIFEST-000005\n"}));
    inputs.push_back(to_input({"\x02", "MANIFEST-5x\n"}));
    return inputs;
}

}  // namespace

std::vector<Buffer> storage_samples_for(std::string_view check) {
    if (check == "store_record") return record_inputs();
    if (check == "store_log") return files_of_database("\x01", ".log");
    if (check == "store_table") return files_of_database("", ".sst");
    if (check == "store_manifest") return manifests();
    if (check == "store_format_file") {
        return {to_input({format_file_text(1)}), to_input({format_file_text(77)}),
                to_input({"spoke-broker store, format 1, checksum 00000000\n"})};
    }
    if (check == "damaged_log") {
        std::string const text(70'000, 'x');
        return {to_input({std::string_view{"\x01\x00\x00\x07", 4}, text.substr(0, 2000)}),
                to_input({std::string_view{"\xF0\x00\x80\x05", 4}, text})};
    }
    return {};
}

}  // namespace spoke::fuzz
