#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/event/event_store.hpp"
#include "bridge/store/sqlite.hpp"

namespace spoke::bridge {

/// Reads the log of events; sees what has been committed.
/// Errors  std::runtime_error from every read.  Thread  that of the connection.
class EventReader {
public:
    explicit EventReader(SqliteConnection& connection);

    /// `last`: the last offset that may be shown; nothing behind it is looked at.
    [[nodiscard]] EventPage events(EventQuery const& query, std::uint64_t last);
    [[nodiscard]] std::uint64_t last_n(std::string_view topic);
    [[nodiscard]] std::optional<Event> find_event(std::string_view topic, std::string_view key);
    [[nodiscard]] std::uint64_t inbox_mark(std::string_view who);

    // At the start.
    [[nodiscard]] std::string epoch();
    /// Of the events up to `last`.
    [[nodiscard]] std::vector<EventArrival> arrivals(std::uint64_t last);
    [[nodiscard]] std::map<std::string, std::uint64_t, std::less<>> positions();

private:
    [[nodiscard]] std::optional<std::vector<std::string>> few_topics(
        std::vector<std::string> const& filters);
    [[nodiscard]] bool add_topics(std::string const& filter, std::vector<std::string>& to);
    [[nodiscard]] EventPage events_of(std::vector<std::string> const& topics,
                                      EventQuery const& query, std::uint64_t last);
    [[nodiscard]] EventPage scan(EventQuery const& query, std::uint64_t last);

    SqliteConnection& connection_;  // outlives this
    SqliteStatement scan_;
    SqliteStatement of_topic_;
    SqliteStatement first_topic_;
    SqliteStatement next_topic_;
    SqliteStatement last_n_;
    SqliteStatement by_key_;
    SqliteStatement mark_;
};

}  // namespace spoke::bridge
