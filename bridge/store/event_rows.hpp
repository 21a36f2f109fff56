#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "bridge/event/event.hpp"
#include "bridge/store/sqlite.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::bridge {

// How events lie in the columns of SCHEMA.md. Reading throws std::runtime_error, which names the
// row, where a column holds what this program would not have written.

/// In the order of read_event and write_event.
inline constexpr std::string_view kEventColumns =
    "offset, at, topic, n, bytes, type, key, collapse, expires_at, from_broker, encoding, data";

[[nodiscard]] Event read_event(SqliteStatement const& row);

/// Binds the columns; the event and the key must stay until the statement is reset.
void write_event(SqliteStatement& to, Event const& event, std::string_view key);

/// Arrivals of so many events are kept, at least: as many as the broker may wait for.
inline constexpr std::uint64_t kArrivalsMin = 8'192;

/// Arrivals in a column: each packet id in 2 bytes and fingerprint in 8, big-endian.
void append_arrival(Buffer& to, EventArrival const& arrival);
void read_arrivals(Bytes from, std::vector<EventArrival>& to);

}  // namespace spoke::bridge
