#include <rocksdb/env.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/storage/crc32c.hpp"
#include "broker/storage/files.hpp"
#include "broker/storage/format_file.hpp"
#include "broker/storage/log_scan.hpp"
#include "broker/storage/manifest_scan.hpp"
#include "broker/storage/record_check.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/table_scan.hpp"
#include "tests/fuzz/entry.hpp"

namespace spoke::fuzz {
namespace {

using namespace spoke::broker;

std::size_t number(std::byte byte) noexcept {
    return std::to_integer<std::size_t>(byte);
}

void append_checksum(std::string_view key, std::string& value) {
    auto const checksum = crc32c(value, crc32c(key));
    for (auto shift = 24; shift >= 0; shift -= 8)
        value.push_back(static_cast<char>(checksum >> shift & 0xFF));
}

/// What is taken says the same when it is written again.
template <class Record>
Finding check_record(std::string_view key, std::string_view value,
                     RecordResult<Record> (*decode)(std::string_view, std::string_view),
                     void (*encode)(std::string_view, Record const&, std::string&)) {
    auto record = decode(key, value);
    if (!record) {
        bool is_sound = record.error() != RecordError::wrong_checksum;
        return is_sound ? Finding{} : "a right checksum is wrong";
    }
    if (!is_key(key)) return "a record whose key is none";
    std::string written;
    encode(key, *record, written);
    if (written.size() > value.size()) return "encoded longer than it came";
    auto again = decode(key, written);
    if (!again) return "what was encoded does not decode";
    std::string once_more;
    encode(key, *again, once_more);
    return once_more == written ? Finding{} : "encodes to other bytes the second time";
}

void write_meta(std::string_view key, MetaRecord const& record, std::string& out) {
    encode_meta(key, record.number, out);
}
void write_subscription(std::string_view key, SubscriptionRecord const& record, std::string& out) {
    encode_subscription(key, record.subscription, out);
}
void write_inbound(std::string_view key, InboundRecord const&, std::string& out) {
    encode_inbound(key, out);
}
void write_delivery(std::string_view key, DeliveryRecord const& record, std::string& out) {
    encode_delivery(key, record.delivery, record.progress, out);
}
void write_message(std::string_view key, MessagePtr const& message, std::string& out) {
    encode_message(key, *message, out);
}
void write_retained(std::string_view key, MessagePtr const& message, std::string& out) {
    encode_retained(key, *message, out);
}

struct MemoryFolder {
    std::unique_ptr<rocksdb::Env> env{rocksdb::NewMemEnv(rocksdb::Env::Default())};
    std::string path = "/store";

    MemoryFolder() { (void)env->CreateDirIfMissing(path); }
    [[nodiscard]] bool write(std::string_view name, std::string_view bytes) {
        return write_file(*env, path + "/" + std::string{name}, bytes).ok();
    }
};

std::optional<std::vector<std::string>> records_of_log(std::string_view log) {
    MemoryFolder folder;
    if (!folder.write("000005.log", log)) return std::nullopt;
    std::vector<std::string> records;
    std::uint64_t end = 0;
    bool is_in_order = true;
    auto const status =
        scan_log(*folder.env, folder.path + "/000005.log", {5}, [&](LogPiece const& piece) {
            is_in_order = is_in_order && piece.offset >= end && piece.end > piece.offset &&
                          piece.end <= log.size();
            end = piece.end;
            if (piece.kind == LogPiece::Kind::record) records.emplace_back(piece.payload);
        });
    if (!status.ok() || !is_in_order) return std::nullopt;
    return records;
}

}  // namespace

Finding check_store_record(Bytes input) {
    if (input.empty()) return std::nullopt;
    auto text = as_text(input.subspan(1));
    auto key = text.substr(0, std::min(number(input[0]), text.size()));
    std::string value{text.substr(key.size())};
    append_checksum(key, value);
    auto family = family_of(key);
    if (!family) return is_key(key) ? Finding{"a key of no family"} : std::nullopt;
    switch (*family) {
        case RecordFamily::message:
            return check_record(key, value, decode_message, write_message);
        case RecordFamily::delivery:
            return check_record(key, value, decode_delivery, write_delivery);
        case RecordFamily::inbound:
            return check_record(key, value, decode_inbound, write_inbound);
        case RecordFamily::meta:
            return check_record(key, value, decode_meta, write_meta);
        case RecordFamily::retained:
            return check_record(key, value, decode_retained, write_retained);
        case RecordFamily::session:
            return check_record(key, value, decode_session, encode_session);
        case RecordFamily::subscription:
            return check_record(key, value, decode_subscription, write_subscription);
    }
    return "a family that is not known";
}

Finding check_store_log(Bytes input) {
    if (input.empty()) return std::nullopt;
    auto found = records_of_log(as_text(input.subspan(1)));
    return found ? Finding{} : "pieces that are not in order";
}

Finding check_damaged_log(Bytes input) {
    if (input.size() < 5) return std::nullopt;
    auto const record_size = 1 + number(input[0]) * 200;
    auto const place = number(input[1]) << 16 | number(input[2]) << 8 | number(input[3]);
    auto payload = as_text(input.subspan(4));
    std::string log;
    struct Written {
        std::string record;
        std::size_t end;  // of it in the log
    };
    std::vector<Written> written;
    while (!payload.empty()) {
        auto piece = payload.substr(0, record_size);
        payload.remove_prefix(piece.size());
        auto record = std::to_string(written.size()).append(piece);  // no two are the same
        append_log_record(log, record);
        written.push_back({std::move(record), log.size()});
    }
    auto const damaged = place % log.size();
    log[damaged] = static_cast<char>(log[damaged] ^ 0x55);
    auto found = records_of_log(log);
    if (!found) return "pieces that are not in order";
    std::size_t next = 0;
    std::size_t begin = 0;
    for (auto const& [record, end] : written) {
        bool is_found = next < found->size() && (*found)[next] == record;
        if (is_found) ++next;
        bool is_hit = begin <= damaged && damaged < end;
        if (!is_found && !is_hit) return "a whole record is not found";
        begin = end;
    }
    return next == found->size() ? Finding{} : "a record that nobody wrote";
}

Finding check_store_table(Bytes input) {
    auto file = as_text(input);
    std::size_t entries = 0;
    bool is_sound = true;
    auto const damage = scan_table(file, [&](TableEntry const& entry) {
        ++entries;
        auto const* begin = entry.value.data();
        bool is_inside =
            entry.value.empty() ||
            (begin >= file.data() && begin + entry.value.size() <= file.data() + file.size());
        is_sound = is_sound && is_inside && !entry.key.empty();
    });
    if (!is_sound) return "an entry without key, or with a value from elsewhere";
    if (entries > file.size()) return "more entries than bytes";
    bool has_footer = file.size() >= kTableFooterSize &&
                      is_table_footer(file.substr(file.size() - kTableFooterSize), file.size());
    return has_footer || damage.has_no_index ? Finding{} : "an index without a footer";
}

Finding check_store_manifest(Bytes input) {
    if (input.empty()) return std::nullopt;
    auto text = as_text(input.subspan(1));
    MemoryFolder folder;
    std::string_view current = "MANIFEST-000005\n";
    std::string manifest;
    switch (number(input[0]) % 3) {
        case 0:
            manifest = text;
            break;
        case 1:
            append_log_record(manifest, text);
            break;
        default:
            current = text;
    }
    if (!folder.write("CURRENT", current) || !folder.write("MANIFEST-000005", manifest))
        return std::nullopt;
    Manifest read;
    auto const status = read_manifest(*folder.env, folder.path, read);
    if (!status.ok() && !status.IsCorruption()) return "an error that is no damage";
    return read.tables.size() <= text.size() ? Finding{} : "more tables than bytes";
}

Finding check_store_format_file(Bytes input) {
    auto text = as_text(input);
    auto version = format_version_in(text);
    if (!version) return std::nullopt;
    bool is_same = text.starts_with(format_file_text(*version));
    return is_same ? Finding{} : "a version that is written otherwise";
}

}  // namespace spoke::fuzz
