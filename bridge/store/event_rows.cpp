#include "bridge/store/event_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <string>

#include "bridge/store/event_usage.hpp"

namespace spoke::bridge {
namespace {

constexpr std::array<std::string_view, 3> kEncodings{"json", "text", "base64"};
constexpr std::size_t kIdBytes = 2;
constexpr std::size_t kArrivalBytes = kIdBytes + 8;

// Where read_event finds what; write_event binds the same, counted from 1.
enum Column : int {
    offset,
    at,
    topic,
    n,
    bytes,
    type,
    key,
    collapse,
    expires_at,
    from_broker,
    encoding,
    data,
};

std::int64_t ms_of(WallTime time) {
    return time.time_since_epoch().count();
}

WallTime time_of(std::int64_t ms) {
    return WallTime{std::chrono::milliseconds{ms}};
}

EventEncoding encoding_of(SqliteStatement const& row) {
    auto const* found = std::ranges::find(kEncodings, row.text(encoding));
    if (found == kEncodings.end()) {
        throw std::runtime_error{
            fmt::format("event {}: the column encoding cannot be read", row.integer(offset))};
    }
    return static_cast<EventEncoding>(found - kEncodings.begin());
}

void append_number(Buffer& to, std::uint64_t value, std::size_t size) {
    for (auto i = size; i-- > 0;) to.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
}

std::uint64_t number_in(Bytes from) {
    std::uint64_t value = 0;
    for (auto byte : from) value = value << 8 | std::to_integer<std::uint64_t>(byte);
    return value;
}

}  // namespace

Event read_event(SqliteStatement const& row) {
    Event event;
    event.offset = static_cast<std::uint64_t>(row.integer(offset));
    event.at = time_of(row.integer(at));
    event.topic = row.text(topic);
    event.n = static_cast<std::uint64_t>(row.integer(n));
    event.type = row.text(type);
    event.key = row.text(key);
    event.collapse = row.text(collapse);
    if (!row.is_null(expires_at)) event.expires_at = time_of(row.integer(expires_at));
    event.from_broker = row.integer(from_broker) != 0;
    event.encoding = encoding_of(row);
    event.data = row.text(data);
    return event;
}

void write_event(SqliteStatement& to, Event const& event, std::string_view event_key) {
    to.bind(offset + 1, static_cast<std::int64_t>(event.offset));
    to.bind(at + 1, ms_of(event.at)).bind(topic + 1, event.topic);
    to.bind(n + 1, static_cast<std::int64_t>(event.n));
    to.bind(bytes + 1, static_cast<std::int64_t>(bytes_of(event)));
    to.bind(type + 1, event.type).bind(key + 1, event_key).bind(collapse + 1, event.collapse);
    event.expires_at ? to.bind(expires_at + 1, ms_of(*event.expires_at))
                     : to.bind_null(expires_at + 1);
    to.bind(from_broker + 1, std::int64_t{event.from_broker});
    to.bind(encoding + 1, kEncodings.at(static_cast<std::size_t>(event.encoding)));
    to.bind(data + 1, event.data);
}

void append_arrival(Buffer& to, EventArrival const& arrival) {
    append_number(to, arrival.packet_id, kIdBytes);
    append_number(to, arrival.fingerprint, kArrivalBytes - kIdBytes);
}

void read_arrivals(Bytes from, std::vector<EventArrival>& to) {
    for (; from.size() >= kArrivalBytes; from = from.subspan(kArrivalBytes)) {
        to.push_back({static_cast<std::uint16_t>(number_in(from.first(kIdBytes))),
                      number_in(from.subspan(kIdBytes, kArrivalBytes - kIdBytes))});
    }
}

}  // namespace spoke::bridge
