#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/access/identity.hpp"
#include "bridge/api/event_operation.hpp"
#include "bridge/api/event_streams.hpp"
#include "bridge/api/event_wish.hpp"
#include "bridge/event/log_reader.hpp"

namespace spoke::bridge {

/// Events over a WebSocket, and operations of the peer. All its filters are read in one order, that
/// of the log: the last id it was given is where the peer goes on, for all of them. A filter that
/// is added from an older cursor takes the reading back to there; what the others have had is not
/// sent twice.
/// Bound   `kOperationsMax` operations under way, and no more are read while what was sent waits.
/// Thread  the service's.
class EventSocket final : public WebSocketEnd,
                          public EventStream,
                          public std::enable_shared_from_this<EventSocket> {
public:
    static constexpr std::size_t kPiece = 16;
    static constexpr std::size_t kOperationsMax = 16;

    /// Does what a request of this peer asks for.
    using Handle = std::function<void(HttpRequest const& request, Respond respond)>;

    EventSocket(EventStreams& streams, Identity who, std::string address, Handle handle);
    ~EventSocket() override;

    /// The topics and the cursor of the request that has opened it; before it is open.
    void begin(EventsWish const& wish);

    void on_open(WebSocketSink& sink) override;
    void on_message(std::string_view message, WebSocketSink::Kind kind) override;
    void on_room() override;
    void on_stop() override;
    void on_gone() override;

    void keep_alive() override;
    void give_up() override;
    void expire() override;

private:
    struct Filter {
        std::string text;
        std::uint64_t from;  // its reader has asked for what is behind it
        std::uint64_t had;   // and has been given everything up to there
    };

    /// Out: where it goes on, and whether that is where the peer wanted.
    struct Added {
        std::uint64_t from = 0;
        std::optional<CursorProblem> problem{};
    };
    Added add_filter(std::string const& text, std::string_view since);
    void restart_reader(std::uint64_t after);
    [[nodiscard]] bool is_wanted(Event const& event) const;
    void pump();
    void send(SharedBytes message);
    void say(std::string message);
    void say_loss(std::uint64_t before, std::uint64_t from);
    [[nodiscard]] std::string safe_cursor() const;

    void run(std::string const& q, EventOperation operation);
    void subscribe(std::string const& q, EventOperation const& operation);
    void unsubscribe(std::string const& q, EventOperation const& operation);
    void request(std::string q, EventOperation operation);
    void answer(std::uint64_t number, std::string_view q, std::string_view member,
                HttpResponse const& response);
    void mind_reading();

    EventStreams& streams_;  // outlives this
    Identity who_;
    std::string address_;
    Handle handle_;
    std::vector<Filter> filters_{};
    std::unique_ptr<LogReader> reader_{};                          // null: no filters
    std::vector<std::string> greetings_{};                         // until it is open
    std::map<std::uint64_t, std::function<void()>> operations_{};  // what to call if it goes
    std::uint64_t operations_begun_ = 0;
    std::uint64_t safe_;  // everything up to there has been taken by the peer's system, or ours
    WebSocketSink* sink_ = nullptr;  // null: not open, or gone
    bool has_room_ = false;
    bool was_active_ = true;  // since its last turn
    bool is_pumping_ = false;
};

}  // namespace spoke::bridge
