#include "broker/storage/store_check.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "broker/storage/file_changes.hpp"
#include "broker/storage/files.hpp"
#include "broker/storage/format_file.hpp"
#include "broker/storage/manifest_scan.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/salvage.hpp"
#include "broker/storage/store_reader.hpp"
#include "broker/storage/table_scan.hpp"
#include "broker/storage/wal_repair.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {
namespace {

/// Of each kind of problem as many lines; how many more there are stands in one.
constexpr std::uint64_t kLinesMax = 20;

class Findings {
public:
    explicit Findings(StoreCheck& check) : check_(check) {}

    void problem(std::string kind, std::string line) {
        if (++counts_[std::move(kind)] <= kLinesMax) check_.problems.push_back(std::move(line));
    }
    void finish() {
        for (auto const& [kind, count] : counts_) {
            if (count > kLinesMax)
                check_.problems.push_back(fmt::format("{} more: {}", count - kLinesMax, kind));
        }
    }

private:
    StoreCheck& check_;
    std::map<std::string, std::uint64_t> counts_{};
};

void check_logs(StoreReader const& reader, Findings& findings, StoreCheck& check) {
    WalDamage logs;
    auto const status = check_wals(reader.env(), reader.database(), logs);
    if (!status.ok()) findings.problem("logs", "the logs cannot be read: " + status.ToString());
    for (auto const& path : logs.files)
        findings.problem("logs", fmt::format("{}: damaged in the middle", path));
    if (logs.torn_bytes > 0)
        check.notes.push_back(fmt::format(
            "the log ends with {} bytes that were never written whole, as after a power loss",
            logs.torn_bytes));
}

void check_tables(StoreReader const& reader, Findings& findings, StoreCheck& check) {
    DatabaseFiles files;
    auto status = find_files(reader.env(), reader.database(), files);
    for (auto path = files.tables.begin(); status.ok() && path != files.tables.end(); ++path) {
        ++check.tables;
        std::string bytes;
        status = read_file(reader.env(), *path, bytes);
        if (!status.ok()) break;
        auto const damage = scan_table(bytes, [](TableEntry const&) {});
        if (damage.has_no_index) findings.problem("tables", fmt::format("{}: has no index", *path));
        if (damage.blocks > 0)
            findings.problem("tables", fmt::format("{}: {} damaged blocks", *path, damage.blocks));
    }
    if (!status.ok()) findings.problem("tables", "a table cannot be read: " + status.ToString());
}

std::string hex(std::string_view bytes) {
    std::string text;
    for (char byte : bytes.substr(0, 64))
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
}

/// Reads all records and keeps what says how they belong together.
class RecordCheck {
public:
    RecordCheck(Findings& findings, StoreCheck& check) : findings_(findings), check_(check) {}

    void on_record(std::string_view key, std::string_view value) {
        ++check_.records;
        auto const error = take(key, value);
        if (error)
            findings_.problem("records", fmt::format("the record with key {} is damaged: {}",
                                                     hex(key), describe(*error)));
    }

    void finish() {
        for (auto const field : {MetaField::format_version, MetaField::hash_seed,
                                 MetaField::session_mark, MetaField::starts}) {
            if (!meta_.contains(field))
                findings_.problem("meta", fmt::format("the meta record '{}' is missing",
                                                      static_cast<char>(field)));
        }
        for (auto const& [number, client_id] : sessions_) check_client(number, client_id);
        check_users("subscriptions", subscribed_);
        check_users("QoS 2 packet ids", inbound_);
        check_deliveries();
    }

private:
    using Place = std::pair<std::uint64_t, std::uint64_t>;  // session, number

    std::optional<RecordError> take(std::string_view key, std::string_view value) {
        auto const family = family_of(key);
        if (!family) return RecordError::bad_key;
        switch (*family) {
            case RecordFamily::meta:
                return keep(decode_meta(key, value),
                            [&](MetaRecord const& meta) { meta_.insert(meta.field); });
            case RecordFamily::session:
                return keep(decode_session(key, value), [&](StoredSession const& session) {
                    sessions_.emplace(session.number.value, session.client_id);
                });
            case RecordFamily::subscription:
                return keep(decode_subscription(key, value), [&](SubscriptionRecord const& record) {
                    subscribed_.insert(record.session.value);
                });
            case RecordFamily::inbound:
                return keep(decode_inbound(key, value), [&](InboundRecord const& record) {
                    inbound_.insert(record.session.value);
                });
            case RecordFamily::delivery:
                return keep(decode_delivery(key, value),
                            [&](DeliveryRecord const& record) { add(record.delivery); });
            case RecordFamily::message:
                return keep(decode_message(key, value), [&](MessagePtr const&) {
                    auto const place = *parse_numbered_key(key);
                    messages_.emplace_back(place.session.value, place.number.value);
                });
            case RecordFamily::retained:
                return keep(decode_retained(key, value), [](MessagePtr const&) {});
        }
        return RecordError::bad_key;
    }

    template <class T, class Keep>
    static std::optional<RecordError> keep(RecordResult<T> const& record, Keep const& take_it) {
        if (!record) return record.error();
        take_it(*record);
        return std::nullopt;
    }

    void add(StoredDelivery const& delivery) {
        receivers_.insert(delivery.session.value);
        auto const number = delivery.as.number.value;
        if (delivery.as.owns_message())
            wanted_.emplace_back(delivery.session.value, number);
        else
            wanted_.emplace_back(0, number - delivery.as.message_back);
    }

    void check_client(std::uint64_t number, std::string const& client_id) {
        auto const [other, is_first] = clients_.emplace(client_id, number);
        if (!is_first)
            findings_.problem("clients with two sessions",
                              fmt::format("client '{}' has two sessions, {} and {}",
                                          escaped(client_id), other->second, number));
    }

    void check_users(std::string const& what, std::set<std::uint64_t> const& users) {
        for (auto const session : users) {
            if (!sessions_.contains(session))
                findings_.problem(
                    what + " without session",
                    fmt::format("{} of session {}, which is not there", what, session));
        }
    }

    void check_deliveries() {
        check_users("deliveries", receivers_);
        std::sort(wanted_.begin(), wanted_.end());
        wanted_.erase(std::unique(wanted_.begin(), wanted_.end()), wanted_.end());
        std::sort(messages_.begin(), messages_.end());
        for (auto const& [session, number] : difference(wanted_, messages_))
            findings_.problem("deliveries without message",
                              fmt::format("the message {} of {} is not there", number,
                                          session == 0 ? "several sessions"
                                                       : fmt::format("session {}", session)));
        auto const unwanted = difference(messages_, wanted_);
        if (!unwanted.empty())
            check_.notes.push_back(fmt::format(
                "{} messages wait for nobody; they take space and do no harm", unwanted.size()));
    }

    static std::vector<Place> difference(std::vector<Place> const& of,
                                         std::vector<Place> const& less) {
        std::vector<Place> left;
        std::set_difference(of.begin(), of.end(), less.begin(), less.end(),
                            std::back_inserter(left));
        return left;
    }

    Findings& findings_;
    StoreCheck& check_;
    std::set<MetaField> meta_{};
    std::map<std::uint64_t, std::string> sessions_{};
    std::map<std::string, std::uint64_t> clients_{};
    std::set<std::uint64_t> subscribed_{};
    std::set<std::uint64_t> inbound_{};
    std::set<std::uint64_t> receivers_{};
    std::vector<Place> wanted_{};
    std::vector<Place> messages_{};
};

void check_records(StoreReader const& reader, Findings& findings, StoreCheck& check) {
    RecordCheck records{findings, check};
    DatabaseFiles files;
    DamagedTables damaged_tables;
    auto status = find_files(reader.env(), reader.database(), files);
    auto const visit = [&](std::string_view key, std::string_view value) {
        records.on_record(key, value);
    };
    // Both: what is damaged is told by its decoder.
    if (status.ok()) status = salvage(reader.env(), files, {visit, visit}, damaged_tables);
    if (!status.ok()) findings.problem("records", "cannot be read: " + status.ToString());
    records.finish();
}

}  // namespace

StoreCheck check_store(StoreReader& reader) {
    StoreCheck check;
    Findings findings{check};
    auto const& found = reader.found();
    if (!found.has_format)
        findings.problem("format", fmt::format("{} is missing", kFormatFileName));
    else if (found.format_is_damaged)
        findings.problem("format", fmt::format("{} is damaged", kFormatFileName));
    auto const status = check_files(reader.env(), reader.database());
    if (!status.ok()) findings.problem("files", status.ToString());
    check_logs(reader, findings, check);
    check_tables(reader, findings, check);
    check_records(reader, findings, check);
    if (check.problems.empty() && !reader.damage().empty())
        findings.problem("files", reader.damage());
    findings.finish();
    return check;
}

}  // namespace spoke::broker
