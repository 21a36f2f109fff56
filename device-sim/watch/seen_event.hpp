#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/time.hpp"

namespace spoke::sim {

/// A place in the log as readers are told it: "k7.1042".
struct Place {
    std::string epoch{};
    std::uint64_t offset = 0;

    [[nodiscard]] std::string text() const;
    /// Errors  nullopt unless it is letters and digits, a dot and a number.
    [[nodiscard]] static std::optional<Place> parse(std::string_view text);
    friend bool operator==(Place const&, Place const&) = default;
};

/// The whole state of an inbox, as the bridge tells it.
struct InboxState {
    std::uint64_t unread = 0;
    std::map<std::string, std::uint64_t> by{};  // by type
    friend bool operator==(InboxState const&, InboxState const&) = default;
};

/// "3 (comment 1, like 2)".
[[nodiscard]] std::string to_text(InboxState const& state);

/// The document of an inbox.
struct InboxDocument {
    InboxState state{};
    std::optional<Place> cursor{};  // none: nothing ever came
};

/// Errors  nullopt if it is not one.
[[nodiscard]] std::optional<InboxDocument> read_inbox(std::string_view text);

/// An event, in whatever way it came.
struct SeenEvent {
    Place place{};
    std::string topic{};
    std::uint64_t n = 0;  // in its topic
    std::string type{};   // empty: none
    WallTime at{};        // when it was recorded
    std::string data{};   // JSON, members in the order they came

    // What our writers and an inbox say in their data.
    std::string message{};              // "m": names one write
    std::optional<Place> upto{};        // of the event `read`
    std::optional<InboxState> state{};  // of the events `read` and `expired`
    friend bool operator==(SeenEvent const&, SeenEvent const&) = default;
};

/// An event document.
/// Errors  nullopt if it is not one.
[[nodiscard]] std::optional<SeenEvent> read_event(std::string_view document);

/// The parts that an MQTT message has.
struct EventParts {
    std::string_view id;
    std::string_view topic;
    std::string_view n;
    std::string_view type;
    std::string_view at;
    std::string_view payload;
};

/// Errors  nullopt if the parts make no event.
[[nodiscard]] std::optional<SeenEvent> read_event(EventParts const& parts);

/// What a short or long poll is answered with.
struct EventPage {
    std::vector<SeenEvent> events{};
    std::string next{};
};

/// Errors  nullopt if it is not one.
[[nodiscard]] std::optional<EventPage> read_page(std::string_view text);

/// That the cursor cannot be used, in an event `reset`, a frame or a problem document.
struct ResetNote {
    std::string reason{};
    std::string cursor{};  // where to go on
    std::string topic{};   // that it is about; empty: all
};

/// Errors  nullopt if it is not one.
[[nodiscard]] std::optional<ResetNote> read_reset(std::string_view text);

/// What the beginning of a stream says of where it goes on.
struct HelloNote {
    bool resumed = false;
    std::uint64_t lost = 0;  // events that are gone; 0 too if nobody knows
    std::string topic{};     // that it is about; empty: all
};

/// Errors  nullopt if the text is no object.
[[nodiscard]] std::optional<HelloNote> read_hello(std::string_view text);

}  // namespace spoke::sim
