#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bridge/api/event_streams.hpp"
#include "bridge/api/event_wish.hpp"
#include "bridge/event/log_reader.hpp"

namespace spoke::bridge {

/// Answers requests for events that are asked again and again: at once, or when there is one.
/// Bound   remembers the newest event of `kWatchesMax` sets of filters, so that a poll that finds
///         nothing new costs a look; `polls_max` requests wait.
/// Thread  the service's.
class EventPolls {
public:
    static constexpr std::size_t kWatchesMax = 4'096;
    static constexpr std::chrono::milliseconds kBatch{20};

    explicit EventPolls(EventStreams& streams);
    EventPolls(EventPolls const&) = delete;
    EventPolls& operator=(EventPolls const&) = delete;
    ~EventPolls();

    /// One that is not to wait. `known` is If-None-Match.
    void answer(EventsWish const& wish, std::uint64_t after, std::string_view known,
                Respond const& respond);

    /// One that waits for the first event, and kBatch for more, or until its time is up.
    void hold(EventsWish wish, std::uint64_t after, SteadyTime until, HttpRequest const& request,
              Respond respond);

    /// All that wait are answered: the bridge stops.
    void drain();

    [[nodiscard]] bool is_full() const noexcept {
        return held_.size() >= streams_.limits().polls_max;
    }
    [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }

private:
    /// Knows the newest event that matches a set of filters.
    class Watch final : public EventFollower {
    public:
        Watch(EventLog& log, std::vector<std::string> filters, WallTime now);
        Watch(Watch const&) = delete;
        Watch& operator=(Watch const&) = delete;
        ~Watch();

        void on_event(SharedEvent const& event) override;

        /// Nothing that matches is behind it.
        [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
        [[nodiscard]] WallTime at() const noexcept { return at_; }
        [[nodiscard]] std::string const& etag();

    private:
        EventLog& log_;  // outlives this
        std::vector<std::string> filters_;
        std::uint64_t last_;
        WallTime at_;
        std::string etag_{};  // empty: to be made
    };

    struct Held;

    Watch& watch(std::vector<std::string> const& filters);
    void wake(Held& held);
    void end(Held& held);
    [[nodiscard]] bool collect(Held& held);
    void finish(Held& held, HttpResponse response);
    [[nodiscard]] HttpResponse unchanged(std::uint64_t position, Watch& watch) const;
    [[nodiscard]] HttpResponse page(EventLog::Page const& found, Watch& watch) const;

    struct Remembered {
        Remembered(std::string k, EventLog& log, std::vector<std::string> filters, WallTime now)
            : key(std::move(k)), watch(log, std::move(filters), now) {}

        std::string key;
        Watch watch;
    };

    EventStreams& streams_;          // outlives this
    std::list<Remembered> watches_;  // the one used last is the first
    std::unordered_map<std::string_view, std::list<Remembered>::iterator> by_key_;
    std::list<std::unique_ptr<Held>> held_;
};

}  // namespace spoke::bridge
