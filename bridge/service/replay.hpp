#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bridge/event/event_log.hpp"
#include "bridge/service/uplink.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/publish.hpp"

namespace spoke::bridge {

/// Answers requests over MQTT for events from a place on (EVENTS.md): each event is a message in
/// the Response Topic, and the last one says where to go on.
/// Nobody can make the bridge publish where it should not: a Response Topic lies below `prefix`.
/// Bound   `runs_max` requests at a time, `kWindow` unacknowledged events of each.  Thread  one.
class Replay {
public:
    static constexpr std::size_t kWindow = 128;
    static constexpr std::size_t kLimitMax = 10'000;

    /// Why whoever has this token may not read these filters; empty: he may.
    using MayRead = std::function<std::string(
        std::string_view token, std::vector<std::string> const& filters, Now const& now)>;

    struct Settings {
        std::string prefix = "e/replay/";
        std::size_t runs_max = 16;
    };

    /// All of it outlives this object.
    struct World {
        EventLog& log;
        Uplink& uplink;
        std::function<Now()> clock;
        std::function<void(SteadyTime)> wake_at;  // call on_timer() then
        MayRead may_read{};                       // empty: everybody may
    };

    Replay(Settings settings, World world)
        : settings_(std::move(settings)), world_(std::move(world)) {}

    /// Out     false: it has no Response Topic that may be answered to, and is dropped.
    bool on_request(mqtt::Publish const& message);
    void on_timer();
    /// Requests of a connection that is gone are not answered to their end.
    void on_broker();

    [[nodiscard]] std::size_t size() const noexcept { return runs_.size(); }

private:
    struct Wish {
        std::vector<std::string> filters{};
        std::string since{};
        std::size_t limit = 1'000;
        std::string token{};
    };

    struct Run {
        std::string topic{};
        std::optional<Buffer> correlation{};
        std::vector<std::string> filters{};
        std::uint64_t position = 0;
        std::uint64_t known_removed = 0;  // before it began: nobody waits for that
        std::size_t left = 0;
        std::size_t open = 0;  // publishes without an answer
    };

    [[nodiscard]] static std::variant<Wish, std::string> read(Bytes payload);
    void start(Wish const& wish, Run run);
    void pump(std::uint64_t id);
    [[nodiscard]] bool send(std::uint64_t id, Run& run, LoggedEvent const& event);
    [[nodiscard]] bool publish(std::uint64_t id, Run& run, mqtt::Publish message);
    void end(Run const& run, std::string payload);

    Settings settings_;
    World world_;
    std::map<std::uint64_t, Run> runs_;
    std::uint64_t last_id_ = 0;
};

}  // namespace spoke::bridge
