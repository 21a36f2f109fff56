#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "bridge/event/event.hpp"

namespace spoke::bridge {

/// Tells which messages of QoS 1 are in the log already, when the broker delivers again what it
/// does not know to be acknowledged.
/// A broker that names its deliveries gives the same name each time, and none to two.
/// Others deliver again right behind CONNACK, in the order of the first time and with DUP set
/// [MQTT-4.4.0-1] [MQTT-4.6.0-1]; as messages are acknowledged in that order after the commit of
/// their events, those that are there come before those that are not. A packet id means the last
/// message that had it: a broker gives an id to another message only after the acknowledgement of
/// the one before.
/// Bound   the last `kNamesMax` names, 65535 packet ids.  Thread  one.
class Redeliveries {
public:
    /// Keeps a message unacknowledged while anybody has a share of it.
    using Hold = std::shared_ptr<void>;

    static constexpr std::size_t kNamesMax = 65'536;

    /// What the process before this one has recorded, oldest first.
    void restore(std::vector<EventArrival> const& arrivals);

    /// A connection was made. A new session delivers nothing again.
    void on_session(bool resumed);

    /// Whether the message, which came with DUP or a name, is in the log or on its way there: then
    /// it is not to be recorded, and `hold` is let go of as soon as it is there.
    [[nodiscard]] bool knows(EventArrival const& arrival, Hold hold);

    /// The message is being recorded.
    void add(EventArrival const& arrival);

    /// And is in the log now.
    void on_stored(EventArrival const& arrival);

private:
    struct Known {
        std::uint64_t fingerprint = 0;
        std::uint64_t order = 0;  // of arrival, from 1; 0: there is none
        bool is_stored = false;
        std::vector<Hold> waiting{};
    };

    [[nodiscard]] bool knows_name(std::uint64_t name, Hold hold);
    void add_name(std::uint64_t name);
    [[nodiscard]] Known* find(EventArrival const& arrival);

    std::vector<Known> known_;  // by packet id
    boost::unordered_flat_set<std::uint64_t> names_;
    std::deque<std::uint64_t> named_;  // in the order of arrival
    boost::unordered_flat_map<std::uint64_t, std::vector<Hold>> writing_;  // named, and not stored
    std::uint64_t last_order_ = 0;                                         // given
    std::uint64_t redelivered_upto_ = 0;  // the order of the last that came again by its packet id
    bool is_resumed_ = false;
};

/// Of what a broker delivers again as it was.
class Fingerprint {
public:
    Fingerprint& add(std::string_view part) noexcept;
    [[nodiscard]] std::uint64_t value() const noexcept { return hash_; }

private:
    std::uint64_t hash_ = 0xcbf2'9ce4'8422'2325;  // FNV-1a
};

}  // namespace spoke::bridge
