#include "bridge/store/event_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <utility>

#include "bridge/store/event_rows.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

/// So many topics are read each by itself; filters that match more are looked for in all events.
constexpr std::size_t kTopicsMax = 32;

std::int64_t signed_of(std::uint64_t value) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::min(value, kMax));
}

std::string select_events(std::string_view rest) {
    return fmt::format("SELECT {} FROM events {}", kEventColumns, rest);
}

bool matches_one(std::vector<std::string> const& filters, std::string_view topic) {
    return filters.empty() || std::ranges::any_of(filters, [&](std::string const& filter) {
               return mqtt::matches(filter, topic);
           });
}

/// What every topic that matches begins with. "d/b42/#": "d/b42", as it matches that too.
std::string_view prefix_of(std::string_view filter) {
    auto prefix = filter.substr(0, filter.find_first_of("+#"));
    auto is_all = filter.ends_with("/#") && prefix.size() + 1 == filter.size();
    return is_all ? prefix.substr(0, prefix.size() - 1) : prefix;
}

}  // namespace

EventReader::EventReader(SqliteConnection& connection)
    : connection_(connection),
      scan_(connection.prepare(
          select_events("WHERE offset > ?1 AND offset <= ?2 ORDER BY offset LIMIT ?3"))),
      of_topic_(connection.prepare(
          select_events("INDEXED BY events_topic WHERE topic = ?4 AND offset > ?1 AND "
                        "offset <= ?2 ORDER BY offset LIMIT ?3"))),
      first_topic_(
          connection.prepare("SELECT topic FROM events WHERE topic >= ?1 ORDER BY topic LIMIT 1")),
      next_topic_(
          connection.prepare("SELECT topic FROM events WHERE topic > ?1 ORDER BY topic LIMIT 1")),
      last_n_(connection.prepare("SELECT n FROM events INDEXED BY events_topic WHERE topic = ?1 "
                                 "ORDER BY offset DESC LIMIT 1")),
      by_key_(
          connection.prepare(select_events("WHERE key = ?1 AND topic = ?2 AND key <> '' LIMIT 1"))),
      mark_(connection.prepare("SELECT upto FROM inbox_marks WHERE who = ?1")) {}

EventPage EventReader::events(EventQuery const& query, std::uint64_t last) {
    if (query.after >= last) return {{}, query.after};
    auto topics = few_topics(query.filters);
    return topics ? events_of(*topics, query, last) : scan(query, last);
}

/// The topics that match, if they are few.
std::optional<std::vector<std::string>> EventReader::few_topics(
    std::vector<std::string> const& filters) {
    if (filters.empty() || filters.size() > kTopicsMax) return std::nullopt;
    std::vector<std::string> out;
    for (auto const& filter : filters) {
        if (!add_topics(filter, out)) return std::nullopt;
    }
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
}

bool EventReader::add_topics(std::string const& filter, std::vector<std::string>& to) {
    auto prefix = std::string{prefix_of(filter)};
    if (prefix == filter) {
        to.push_back(filter);
        return true;
    }
    auto topic = prefix;
    auto* statement = &first_topic_;
    for (std::size_t looked = 0; looked < kTopicsMax; ++looked) {
        SqliteReset reset{*statement};
        statement->bind(1, topic);
        if (!statement->step()) return true;
        auto next = std::string{statement->text(0)};
        if (!next.starts_with(prefix)) return true;
        if (mqtt::matches(filter, next)) to.push_back(next);
        topic = std::move(next);
        statement = &next_topic_;
    }
    return false;
}

/// Of each topic the first `limit`, and of all these again: none of theirs is missing in between.
EventPage EventReader::events_of(std::vector<std::string> const& topics, EventQuery const& query,
                                 std::uint64_t last) {
    EventPage page;
    page.scanned_to = last;
    auto& out = page.events;
    for (auto const& topic : topics) {
        auto begin = static_cast<std::ptrdiff_t>(out.size());
        SqliteReset reset{of_topic_};
        of_topic_.bind(1, signed_of(query.after)).bind(2, signed_of(page.scanned_to));
        of_topic_.bind(3, signed_of(query.limit)).bind(4, topic);
        while (of_topic_.step()) out.push_back(read_event(of_topic_));
        std::ranges::inplace_merge(out, out.begin() + begin, {}, &Event::offset);
        if (out.size() < query.limit) continue;
        // Whatever is behind the last of them is for the next page.
        out.resize(query.limit);
        page.scanned_to = out.empty() ? query.after : out.back().offset;
    }
    return page;
}

EventPage EventReader::scan(EventQuery const& query, std::uint64_t last) {
    EventPage page;
    page.scanned_to = query.after;
    if (query.limit == 0) return page;
    SqliteReset reset{scan_};
    scan_.bind(1, signed_of(query.after)).bind(2, signed_of(last));
    scan_.bind(3, signed_of(query.scan_max));
    constexpr int kOffset = 0;
    constexpr int kTopic = 2;
    std::size_t scanned = 0;
    for (; scan_.step(); ++scanned) {
        page.scanned_to = static_cast<std::uint64_t>(scan_.integer(kOffset));
        if (!matches_one(query.filters, scan_.text(kTopic))) continue;
        page.events.push_back(read_event(scan_));
        if (page.events.size() == query.limit) return page;
    }
    if (scanned < query.scan_max) page.scanned_to = last;
    return page;
}

std::uint64_t EventReader::last_n(std::string_view topic) {
    SqliteReset reset{last_n_};
    last_n_.bind(1, topic);
    return last_n_.step() ? static_cast<std::uint64_t>(last_n_.integer(0)) : 0;
}

std::optional<Event> EventReader::find_event(std::string_view topic, std::string_view key) {
    SqliteReset reset{by_key_};
    by_key_.bind(1, key).bind(2, topic);
    if (!by_key_.step()) return std::nullopt;
    return read_event(by_key_);
}

std::uint64_t EventReader::inbox_mark(std::string_view who) {
    SqliteReset reset{mark_};
    mark_.bind(1, who);
    return mark_.step() ? static_cast<std::uint64_t>(mark_.integer(0)) : 0;
}

std::string EventReader::epoch() {
    auto row = connection_.prepare("SELECT epoch FROM log");
    if (!row.step()) throw std::runtime_error{"the log of events has no epoch"};
    return std::string{row.text(0)};
}

std::vector<EventArrival> EventReader::arrivals(std::uint64_t last) {
    auto forgotten = connection_.number("SELECT value FROM marks WHERE name = 'arrivals'");
    auto after = std::max(signed_of(last - std::min(last, kArrivalsMin)), forgotten);
    std::vector<EventArrival> out;
    auto row = connection_.prepare(
        "SELECT upto, arrivals FROM arrivals WHERE upto > ?1 UNION ALL "
        "SELECT offset, arrival FROM events WHERE offset > ?1 AND arrival IS NOT NULL ORDER BY 1");
    row.bind(1, after);
    while (row.step()) read_arrivals(row.blob(1), out);
    return out;
}

std::map<std::string, std::uint64_t, std::less<>> EventReader::positions() {
    std::map<std::string, std::uint64_t, std::less<>> out;
    auto row = connection_.prepare("SELECT name, offset FROM positions");
    while (row.step()) out.emplace(row.text(0), static_cast<std::uint64_t>(row.integer(1)));
    return out;
}

}  // namespace spoke::bridge
