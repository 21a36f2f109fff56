#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "bridge/api/http_stream.hpp"
#include "bridge/event/event_log.hpp"
#include "bridge/service/service.hpp"

namespace spoke::bridge {

class EventStreams;

/// A connection that is given events as they come, as EventStreams sees it.
class EventStream {
public:
    EventStream() = default;
    EventStream(EventStream const&) = delete;
    EventStream& operator=(EventStream const&) = delete;

    /// Nothing was sent for a while: shows that we are there, and how far the log is.
    virtual void keep_alive() = 0;

    /// It has had no room for too long.
    virtual void give_up() = 0;

    /// What it was let in with has ended: so does it.
    virtual void expire() = 0;

protected:
    ~EventStream() = default;

private:
    friend class EventStreams;
    using Hook = boost::intrusive::list_member_hook<
        boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

    Hook in_turn_{};
    Hook in_blocked_{};
    SteadyTime blocked_since_{};
    std::optional<WallTime> ends_{};
};

/// The streams there are: one timer shows all of them, spread over its period, that we are there,
/// gives up those that take nothing, and ends those whose credentials have ended.
/// Bound   `streams_max` streams.  Thread  the service's.
class EventStreams {
public:
    struct Limits {
        std::size_t streams_max = 10'000;
        std::size_t polls_max = 10'000;             // long polls that wait
        std::size_t filters_max = 64;               // of one reader
        std::size_t stream_bytes_max = 64 * 1024;   // what waits for one slow peer
        std::size_t message_bytes_max = 64 * 1024;  // of a WebSocket's peer
        std::chrono::milliseconds slow_timeout{10'000};
    };

    EventStreams(Service& service, Limits limits);
    EventStreams(EventStreams const&) = delete;
    EventStreams& operator=(EventStreams const&) = delete;
    ~EventStreams();

    [[nodiscard]] bool is_full() const noexcept { return size_ >= limits_.streams_max; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t given_up() const noexcept { return given_up_; }
    [[nodiscard]] std::uint64_t expired() const noexcept { return expired_; }

    /// `ends` is the end of what it was let in with: within a quarter of a second after it the
    /// stream ends.
    void join(EventStream& stream, std::optional<WallTime> ends);
    void leave(EventStream& stream);

    /// It has no room from now on, or has some again.
    void block(EventStream& stream);
    void unblock(EventStream& stream);

    [[nodiscard]] Service& service() noexcept { return service_; }
    [[nodiscard]] EventLog& log() noexcept { return service_.log(); }
    [[nodiscard]] Limits const& limits() const noexcept { return limits_; }

    /// A line of SSE that says how far the log is, and a WebSocket message that does. Made once for
    /// all who are told the same.
    SharedBytes const& head_line();
    SharedBytes const& head_message();

private:
    void tick();
    void make_head();
    void end_expired(WallTime now);

    template <EventStream::Hook EventStream::*Member>
    using List = boost::intrusive::list<
        EventStream, boost::intrusive::member_hook<EventStream, EventStream::Hook, Member>,
        boost::intrusive::constant_time_size<false>>;

    static constexpr std::chrono::milliseconds kTick{250};
    static constexpr std::size_t kTurns = 60;  // of kTick: a stream's turn comes each 15 s

    Service& service_;  // outlives this
    Limits limits_;
    std::array<List<&EventStream::in_turn_>, kTurns> turns_{};
    List<&EventStream::in_blocked_> blocked_{};  // the longest first
    std::size_t turn_ = 0;                       // whose it is next
    std::size_t next_place_ = 0;                 // where the next stream goes
    std::size_t size_ = 0;
    std::uint64_t given_up_ = 0;
    std::uint64_t expired_ = 0;
    std::set<std::pair<WallTime, EventStream*>> by_end_{};  // of those that have one
    bool is_ticking_ = false;
    Alarms::Ticket alarm_{};
    std::uint64_t head_ = UINT64_MAX;  // that the two below tell
    SharedBytes head_line_{};
    SharedBytes head_message_{};
};

/// What a reader is told first: {"resumed":true,"from":"k7.1042","lost":0} without the braces.
/// Whoever could not go on from his cursor has lost an unknown number.
[[nodiscard]] std::string hello_members(bool has_cursor, bool is_lost, Cursor const& from);

/// "reason":"epoch","cursor":"k7.2000","snapshot":"/v1/inboxes/7777"
[[nodiscard]] std::string reset_members(CursorProblem reason, Cursor const& head,
                                        std::string_view filter);

}  // namespace spoke::bridge
