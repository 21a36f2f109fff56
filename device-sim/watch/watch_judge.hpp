#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "device-sim/watch/inbox_model.hpp"
#include "device-sim/watch/seen_event.hpp"
#include "device-sim/watch/wrong.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// That a reader comes with a cursor which cannot be gone on from.
struct WantedReset {
    std::string reason{};  // as it must be told: "malformed", "epoch", "future", "too-old"
    std::set<std::string> topics{};  // each must be told it; none: it is told once for all
};

/// Compares what readers are told with the log, and the log with what writers were promised.
/// Reads no clock, knows no connection.
/// Judges  what one told event shows at once; the rest in on_end(), when the log has been read.
/// Memory  16 bytes for each event of each reader, and one record for each event.
class WatchJudge {
public:
    using Reader = std::size_t;

    explicit WatchJudge(WallTime began) : began_(began) {}

    // Readers.

    /// A reader of these filters, from behind this place on.
    Reader add_reader(std::string name, std::vector<std::string> filters, Place start);

    /// It begins a new reading. `wanted`: what it must be told before anything else.
    void on_begin(Reader reader, std::optional<WantedReset> wanted);
    /// It has a new connection.
    void on_connected(Reader reader);
    /// What the first frame says, if the way has one, or the answer to a further topic.
    void on_hello(Reader reader, HelloNote const& note);

    /// How often what a way has delivered may come again by its contract.
    enum class Repeats : std::uint8_t {
        never,
        after_failures,  // MQTT: once more for each lost connection and each kill
    };
    void on_event(Reader reader, SeenEvent const& event, Repeats repeats, WallTime now);

    /// It is told that there was nothing more up to some place.
    void on_cursor(Reader reader);
    /// It is told that it does not get what is up to the place of the note.
    void on_reset(Reader reader, ResetNote const& note, WallTime now);

    /// A program was killed.
    void on_kill(WallTime now) { kills_.push_back(now); }

    // Writers.

    /// From now on the message of this name may be in the log.
    void on_asked(std::string const& message, MessageTerms const& terms, WallTime now);
    /// Somebody has answered that it is taken.
    void on_acknowledged(std::string const& message);

    // Inboxes.

    /// What an inbox was told to be within this time, at the place that its document names.
    void on_inbox(std::string const& who, InboxDocument const& document, TimeSpan const& when);
    /// The same when nobody has written for a while: it must know all that the log has.
    void on_quiet_inbox(std::string const& who, InboxDocument const& document,
                        TimeSpan const& when);
    /// A mark was acknowledged.
    void on_marked(std::string const& who, Place const& upto);

    // The log, read at the end.

    void on_log(SeenEvent const& event);
    /// The log no longer has what is up to this place.
    void on_log_begins_behind(Place const& place);

    /// How many readers have not yet been told the last event that they must be told.
    [[nodiscard]] std::size_t behind() const;
    /// How many acknowledged writes have not been seen in the log.
    [[nodiscard]] std::size_t missing_writes() const;
    /// How many inboxes have something that will expire, or has and no event says so.
    [[nodiscard]] std::size_t open_expiries(WallTime now) const;
    void on_end(WallTime now);

    struct Counts {
        std::uint64_t told = 0;     // events, over all readers
        std::uint64_t repeats = 0;  // that a way may repeat
        std::uint64_t resets = 0;
        std::uint64_t excused = 0;  // events that a told reset covers
        std::uint64_t asked = 0;
        std::uint64_t acknowledged = 0;
        std::uint64_t log = 0;
        std::uint64_t inboxes = 0;     // documents compared
        std::uint64_t expiring = 0;    // messages of inboxes in the log that expire
        std::uint64_t collapsing = 0;  // and those that have a collapse key
        std::uint64_t expired = 0;     // events that say that something has
        std::uint64_t died = 0;        // messages that expired before the log could have them
    };
    [[nodiscard]] Counts const& counts() const noexcept { return counts_; }
    [[nodiscard]] WatchVerdict const& verdict() const noexcept { return verdict_; }

private:
    /// What a told reset covers: (from, to], as far as it was there when it was told.
    struct Gap {
        std::uint64_t from;
        std::uint64_t to;
        WallTime told_at;
    };
    struct ReaderState {
        std::string name;
        std::vector<std::string> filters;
        Place start;
        std::vector<std::uint64_t> taken{};                 // offsets, in order
        std::vector<std::uint64_t> late{};                  // those that came behind later ones
        std::map<std::uint64_t, std::uint64_t> repeated{};  // offset: times
        std::vector<Gap> gaps{};
        std::uint64_t connections = 0;
        std::optional<WantedReset> wanted{};  // not told yet
        std::set<std::string> owed{};         // topics of which something is missing; "": of all
        std::set<std::string> was_reset{};    // on this connection
    };
    struct Known {
        SeenEvent event;  // as it was told first
        bool in_log = false;
    };
    struct Message {
        MessageTerms terms{};
        WallTime asked_at{};
        bool acknowledged = false;
        std::vector<std::uint64_t> offsets{};
    };
    struct InboxLook {
        std::string who;
        InboxDocument document;
        bool quiet;
        TimeSpan when;
    };
    using InboxModels = std::map<std::string, InboxModel>;

    void learn(SeenEvent const& event, std::string const& who, bool in_log);
    void take_again(ReaderState& reader, SeenEvent const& event, Repeats repeats);
    [[nodiscard]] bool must_be_told(ReaderState const& reader, SeenEvent const& event) const;
    [[nodiscard]] static bool is_excused(ReaderState const& reader, SeenEvent const& event);
    void find_untold(ReaderState& reader, std::string const& id, std::string text);
    void expect_no_reset(ReaderState& reader, std::string const& id);
    [[nodiscard]] Message const* message_of(SeenEvent const& event) const;
    [[nodiscard]] std::optional<TimeSpan> expiry_of(SeenEvent const& event) const;
    [[nodiscard]] bool may_have_died(Message const& message) const;
    void take_into(InboxModels& models, SeenEvent const& event) const;
    [[nodiscard]] static bool was_told(ReaderState const& reader, std::uint64_t offset);
    void judge_log();
    void judge_reader(ReaderState const& reader);
    void judge_messages();
    void judge_inboxes(WallTime now);
    void judge_look(InboxLook const& look, InboxModel const& model);
    void find(Wrong wrong, std::string who, std::string id, std::string text);

    WallTime began_;
    std::int64_t now_ms_ = 0;
    std::vector<ReaderState> readers_;
    std::map<std::uint64_t, Known> known_;
    std::map<std::string, Message> messages_;
    std::vector<InboxLook> looks_;
    std::map<std::string, std::uint64_t> marks_;  // inbox: acknowledged
    std::string epoch_;
    std::uint64_t log_from_ = 0;  // the log has been read from behind this offset on
    std::vector<WallTime> kills_;
    Counts counts_{};
    WatchVerdict verdict_;
};

}  // namespace spoke::sim
