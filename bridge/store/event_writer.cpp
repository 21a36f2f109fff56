#include "bridge/store/event_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "bridge/store/event_rows.hpp"
#include "bridge/store/fault_point.hpp"
#include "protocol/topic/filter_sets.hpp"

namespace spoke::bridge {
namespace {

/// Arrivals of so many events are kept, at least: as many as the broker may wait for.
constexpr std::uint64_t kArrivalsMin = 8'192;
constexpr std::uint64_t kArrivalsSpare = 1'024;

/// Of other classes, so many rows are passed by for each that may be removed.
constexpr std::int64_t kLooksPerRow = 4;

/// In a transaction more is removed than was added, so that a limit that was lowered is reached.
constexpr std::int64_t kRoomMin = 64;

/// Events that claim to be from so far ahead were recorded while the clock was wrong. They go with
/// their neighbours, or nothing behind them would ever be too old.
constexpr std::chrono::hours kClockErrorMin{1};

std::int64_t signed_of(std::uint64_t value) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::min(value, kMax));
}

std::uint64_t number_at(SqliteStatement const& row, int column) {
    return static_cast<std::uint64_t>(row.integer(column));
}

WallTime time_at(SqliteStatement const& row, int column) {
    return WallTime{std::chrono::milliseconds{row.integer(column)}};
}

}  // namespace

EventWriter::EventWriter(SqliteConnection& connection, EventClasses const& classes)
    : connection_(connection),
      classes_(classes),
      insert_(connection.prepare(
          fmt::format("INSERT INTO events ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                      "?11, ?12) ON CONFLICT (key, topic) WHERE key <> '' DO NOTHING",
                      kEventColumns))),
      changes_(connection.prepare("SELECT changes()")),
      mark_(connection.prepare("INSERT INTO inbox_marks VALUES (?1, ?2) ON CONFLICT (who) DO "
                               "UPDATE SET upto = excluded.upto WHERE upto < excluded.upto")),
      position_(connection.prepare("INSERT INTO positions VALUES (?1, ?2) ON CONFLICT (name) DO "
                                   "UPDATE SET offset = excluded.offset")),
      erase_position_(connection.prepare("DELETE FROM positions WHERE name = ?1")),
      add_arrivals_(connection.prepare("INSERT INTO arrivals VALUES (?1, ?2)")),
      forget_arrivals_(connection.prepare("DELETE FROM arrivals WHERE upto <= ?1")),
      use_(connection.prepare("UPDATE event_classes SET events = ?2, bytes = ?3, first = ?4, "
                              "removed_upto = ?5 WHERE filter = ?1")),
      from_(connection.prepare("SELECT offset, at, topic, bytes FROM events WHERE offset >= ?1 "
                               "ORDER BY offset LIMIT ?2")),
      remove_(connection.prepare("DELETE FROM events WHERE offset BETWEEN ?1 AND ?2")),
      touched_(classes.size()) {}

// --- What there is -----------------------------------------------------------------------------

EventWriter::State EventWriter::load() {
    begin();
    State state;
    state.last_offset = static_cast<std::uint64_t>(
        connection_.number("SELECT max(coalesce((SELECT max(offset) FROM events), 0), "
                           "coalesce((SELECT max(removed_upto) FROM event_classes), 0))"));
    if (!read_classes(state)) count_again(state);
    return state;
}

/// False: there are others in the file, or in another order.
bool EventWriter::read_classes(State& state) {
    state.classes.assign(classes_.size(), {});
    auto row = connection_.prepare(
        "SELECT filter, events, bytes, first, removed_upto FROM event_classes ORDER BY place");
    std::size_t place = 0;
    for (; row.step(); ++place) {
        if (place >= classes_.size() || classes_[place].filter != row.text(0)) return false;
        state.classes[place] = {number_at(row, 1), number_at(row, 2), number_at(row, 3),
                                number_at(row, 4)};
    }
    return place == classes_.size();
}

/// What was removed of a class may have been of any that overlaps it now.
void EventWriter::count_again(State& state) {
    std::map<std::string, std::uint64_t> removed;
    {
        auto row = connection_.prepare("SELECT filter, removed_upto FROM event_classes");
        while (row.step()) removed.emplace(row.text(0), number_at(row, 1));
    }
    state.classes.assign(classes_.size(), {});
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        auto const& filter = classes_[i].filter;
        for (auto const& [other, upto] : removed) {
            auto may_be = filter.empty() || other.empty() || mqtt::overlap(filter, other);
            auto& to = state.classes[i].removed_upto;
            if (may_be) to = std::max(to, upto);
        }
    }
    auto row = connection_.prepare("SELECT offset, topic, bytes FROM events ORDER BY offset");
    while (row.step()) {
        auto& usage = state.classes[classes_.of(row.text(1))];
        if (usage.events++ == 0) usage.first = number_at(row, 0);
        usage.bytes += number_at(row, 2);
    }
    write_classes(state);
}

void EventWriter::write_classes(State const& state) {
    connection_.execute("BEGIN IMMEDIATE; DELETE FROM event_classes");
    auto insert = connection_.prepare("INSERT INTO event_classes VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        auto const& usage = state.classes[i];
        insert.bind(1, classes_[i].filter).bind(2, static_cast<std::int64_t>(i));
        insert.bind(3, signed_of(usage.events)).bind(4, signed_of(usage.bytes));
        insert.bind(5, signed_of(usage.first)).bind(6, signed_of(usage.removed_upto)).run();
    }
    SPOKE_FAULT_POINT("store-classes");
    connection_.execute("COMMIT");
}

// --- What is new -------------------------------------------------------------------------------

void EventWriter::begin() {
    arrivals_.clear();
    touched_.assign(classes_.size(), false);
    added_ = 0;
}

void EventWriter::add(Event const& event, State& state) {
    insert(event, event.key);
    // Two of one key come here only if the first could not be read. Nothing may be lost then.
    if (!event.key.empty()) {
        SqliteReset reset{changes_};
        if (changes_.step() && changes_.integer(0) == 0) insert(event, {});
    }
    SPOKE_FAULT_POINT("store-event");
    auto place = classes_.of(event.topic);
    auto& usage = state.classes[place];
    if (usage.events++ == 0) {
        usage.first = event.offset;
        usage.oldest = event.at;
    }
    usage.bytes += bytes_of(event);
    touched_[place] = true;
    state.last_offset = std::max(state.last_offset, event.offset);
    if (event.arrival) append_arrival(arrivals_, *event.arrival);
    ++added_;
}

void EventWriter::insert(Event const& event, std::string_view key) {
    write_event(insert_, event, key);
    insert_.run();
}

void EventWriter::set(InboxMark const& mark) {
    mark_.bind(1, mark.who).bind(2, signed_of(mark.upto)).run();
    SPOKE_FAULT_POINT("store-inbox-mark");
}

void EventWriter::set(ReaderPosition const& position) {
    if (position.offset) {
        position_.bind(1, position.name).bind(2, signed_of(*position.offset)).run();
    } else {
        erase_position_.bind(1, position.name).run();
    }
    SPOKE_FAULT_POINT("store-position");
}

void EventWriter::forget_arrivals(State const& state) {
    arrivals_.clear();
    forget_arrivals_.bind(1, signed_of(state.last_offset)).run();
    SPOKE_FAULT_POINT("store-forget-arrivals");
}

void EventWriter::finish(State& state) {
    if (!arrivals_.empty()) {
        add_arrivals_.bind(1, signed_of(state.last_offset)).bind(2, Bytes{arrivals_}).run();
        forget_old_arrivals(state);
        SPOKE_FAULT_POINT("store-arrivals");
    }
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        if (!touched_[i]) continue;
        auto const& usage = state.classes[i];
        use_.bind(1, classes_[i].filter).bind(2, signed_of(usage.events));
        use_.bind(3, signed_of(usage.bytes)).bind(4, signed_of(usage.first));
        use_.bind(5, signed_of(usage.removed_upto)).run();
        SPOKE_FAULT_POINT("store-class");
    }
}

/// Many at a time: each commit that removes something writes one page more.
void EventWriter::forget_old_arrivals(State& state) {
    auto old = state.last_offset - std::min(state.last_offset, kArrivalsMin);
    if (old < state.arrivals_from + kArrivalsSpare) return;
    forget_arrivals_.bind(1, signed_of(old)).run();
    state.arrivals_from = old;
}

// --- What is old -------------------------------------------------------------------------------

bool EventWriter::is_over(std::size_t place, std::optional<WallTime> now,
                          State const& state) const {
    auto const& usage = state.classes[place];
    auto const& limits = classes_[place];
    if (usage.events == 0) return false;
    if (usage.events > limits.events_max || usage.bytes > limits.bytes_max) return true;
    if (!now || !usage.oldest) return false;
    return *usage.oldest < *now - limits.keep || *usage.oldest > *now + kClockErrorMin;
}

void EventWriter::make_room(std::optional<WallTime> now, State& state) {
    if (added_ > 0) remove(now, 2 * added_ + kRoomMin, state);
}

bool EventWriter::has_work(WallTime now, std::int64_t rows, State& state) {
    auto has = false;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        auto& usage = state.classes[i];
        if (usage.events > 0 && !usage.oldest) find_oldest(i, rows, state);
        // Not found yet: it is gone on with next time.
        has = has || is_over(i, now, state) || (usage.events > 0 && !usage.oldest);
    }
    return has;
}

/// The first event of the class, from where it is known that none lies before.
void EventWriter::find_oldest(std::size_t place, std::int64_t& rows, State& state) {
    auto& usage = state.classes[place];
    SqliteReset reset{from_};
    from_.bind(1, signed_of(usage.first)).bind(2, std::max(rows, std::int64_t{1}));
    while (from_.step()) {
        --rows;
        usage.first = number_at(from_, 0);
        if (classes_.of(from_.text(2)) == place) {
            usage.oldest = time_at(from_, 1);
            return;
        }
        ++usage.first;
    }
}

bool EventWriter::remove(std::optional<WallTime> now, std::int64_t rows, State& state) {
    auto more = false;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        if (rows > 0 && is_over(i, now, state)) remove_from(i, now, rows, state);
        auto const& usage = state.classes[i];
        auto is_known = usage.events == 0 || usage.oldest;
        more = more || is_over(i, now, state) || (now && !is_known);
    }
    return more;
}

void EventWriter::remove_from(std::size_t place, std::optional<WallTime> now, std::int64_t& rows,
                              State& state) {
    auto& usage = state.classes[place];
    std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;  // of neighbours, first and last
    auto is_neighbour = false;
    {
        SqliteReset reset{from_};
        from_.bind(1, signed_of(usage.first)).bind(2, rows * kLooksPerRow);
        usage.oldest.reset();
        while (from_.step()) {
            auto offset = number_at(from_, 0);
            usage.first = offset;
            if (classes_.of(from_.text(2)) != place) {
                is_neighbour = false;
                ++usage.first;
                continue;
            }
            usage.oldest = time_at(from_, 1);
            if (rows == 0 || !is_over(place, now, state)) break;
            usage.oldest.reset();
            --usage.events;
            usage.bytes -= std::min(usage.bytes, number_at(from_, 3));
            usage.removed_upto = std::max(usage.removed_upto, offset);
            ++usage.first;
            --rows;
            if (!std::exchange(is_neighbour, true)) runs.emplace_back(offset, offset);
            runs.back().second = offset;
        }
    }
    for (auto const& [first, last] : runs) remove_run(first, last);
    touched_[place] = true;
}

void EventWriter::remove_run(std::uint64_t first, std::uint64_t last) {
    remove_.bind(1, signed_of(first)).bind(2, signed_of(last)).run();
    SPOKE_FAULT_POINT("store-remove-events");
}

}  // namespace spoke::bridge
