#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// How the bytes of a message became the JSON text `data` of its event.
enum class EventEncoding : std::uint8_t {
    json,    // they are JSON
    text,    // they are UTF-8; `data` is a JSON string of them
    base64,  // they are neither; `data` is a JSON string of their base64
};

/// Tells one delivery of a message from another: what a broker sends again with DUP has the same.
struct EventArrival {
    std::uint16_t packet_id = 0;    // from 1; 0: the broker has named the delivery
    std::uint64_t fingerprint = 0;  // of topic, payload and properties; or that name
    friend bool operator==(EventArrival const&, EventArrival const&) = default;
};

/// Something that shall be in the log.
struct EventDraft {
    std::string topic;  // a valid topic name
    std::string type{};
    std::string data = "null";  // JSON text
    EventEncoding encoding = EventEncoding::json;
    std::string key{};  // of the event key; empty: none. Twice the same in a topic is one event
    std::string collapse{};  // inbox: the newest of one collapse key stands for those before it
    std::optional<WallTime> expires_at{};   // inbox: it does not count as unread from then on
    std::optional<EventArrival> arrival{};  // of a message that came over MQTT at QoS 1
    bool from_broker = false;               // subscribers of its topic have it already
};

/// One entry of the log; it never changes.
struct Event : EventDraft {
    std::uint64_t offset = 0;  // from 1; only grows
    std::uint64_t n = 0;       // in its topic: from 1, one more each time
    WallTime at{};
};

/// The draft of a message: its type is the user property `type`, else the member "type" or "e" of
/// its JSON object, if that is a string of 1 to 64 bytes; otherwise none.
[[nodiscard]] EventDraft make_draft(std::string_view topic, std::string_view payload);

/// The bytes that make_draft() was given; line breaks between the tokens of JSON are blanks.
[[nodiscard]] std::string payload_of(EventDraft const& draft);

/// An event as the readers get it, encoded once for all of them.
/// Thread  one.
class LoggedEvent {
public:
    LoggedEvent(Event event, std::string const& epoch);

    [[nodiscard]] Event const& event() const noexcept { return event_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return event_.offset; }
    [[nodiscard]] std::string const& id() const noexcept { return id_; }

    using Bytes = std::shared_ptr<std::string const>;

    /// {"id":"k7.1042","topic":"d/b42/evt","n":7,"type":"moved","at":"...","data":{"g":1.8}}
    [[nodiscard]] Bytes const& document() const;

    /// "id: k7.1042\ndata: <document>\n\n"
    [[nodiscard]] Bytes const& sse_frame() const;

    /// Memory, about.
    [[nodiscard]] std::size_t bytes() const noexcept;

private:
    Event event_;
    std::string id_;
    mutable Bytes document_;
    mutable Bytes sse_frame_;
};

using SharedEvent = std::shared_ptr<LoggedEvent const>;

}  // namespace spoke::bridge
