#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <vector>

#include "protocol/base/time.hpp"
#include "protocol/client/client_events.hpp"
#include "protocol/client/client_options.hpp"
#include "protocol/client/topic_aliases.hpp"
#include "protocol/client/wire.hpp"

namespace spoke::mqtt {

/// A publish that waits or is in flight.
struct Outgoing {
    enum class Stage : std::uint8_t {
        waiting,    // for its turn, in queue_ or (QoS 0) queue0_
        in_flight,  // PUBLISH is out, PUBACK or PUBREC is awaited
        releasing,  // PUBREL is out or due, PUBCOMP is awaited
    };

    Publish packet{};  // emptied once it can no longer be sent again
    PublishToken token{};
    SteadyTime expires_at = SteadyTime::max();   // its message expiry
    SteadyTime send_before = SteadyTime::max();  // the earlier of that and its deadline
    std::uint64_t position = 0;                  // of its first byte on this connection
    std::list<Outgoing>::iterator self{};
    std::uint32_t size = 0;  // as queue_bytes_max counts
    Stage stage = Stage::waiting;
    PublishScope scope = PublishScope::session;
    ReasonCode reason = ReasonCode::success;  // of PUBREC
    bool maybe_arrived = false;               // was handed to some connection's transport
    bool reported = false;                    // the outcome is told: only the id is still held

    /// Whether it goes out as a repetition, under the id it has: the server may know it.
    [[nodiscard]] bool is_repetition() const noexcept { return packet.id.value != 0; }
};

/// The client's publishes on their way to the server: queue, window, QoS 1 and 2 exchanges, and
/// what becomes of them when a connection or the session ends. Tells each publish's outcome once.
///
/// A publish waits in `queue_` (QoS 1, 2) or `queue0_` (QoS 0), is encoded when the transport can
/// write and, for QoS 1 and 2, the window is open, then stands in `in_flight_`, after PUBREC in
/// `releasing_`. When the connection goes, what is in flight moves back to the front of `queue_`
/// and keeps its id.
class Outbound {
public:
    Outbound(ClientOptions const& options, Wire& wire, ClientEvents& events) noexcept;

    void publish(Publish const& packet, PublishOptions const& options, Now now);

    /// What became of the session, as CONNACK tells it.
    enum class SessionIs : std::uint8_t {
        begun,    // there was none
        resumed,  // the server still knows the ids in use
        lost,     // there was one, and the server forgot it
    };
    /// CONNACK success came.
    void on_connected(SessionIs session);

    /// The connection is over.
    /// In  `handed`: the position up to which bytes went to the transport.
    void on_disconnected(std::uint64_t handed);

    /// The server's answers. False if it does not fit what is in flight: a protocol error.
    [[nodiscard]] bool on_puback(PubAck const& packet);
    [[nodiscard]] bool on_pubrec(PubRec const& packet);
    [[nodiscard]] bool on_pubcomp(PubComp const& packet);

    /// Whether encode_waiting() would encode something.
    [[nodiscard]] bool has_sendable() const noexcept;
    /// Encodes what waits and may go, about one batch at most.
    void encode_waiting(Now now);
    /// The whole outbox was handed to the transport.
    void on_taken();

    /// Ends what expired while it waited.
    void expire(SteadyTime now);
    /// When expire() has something to do, or a little earlier; SteadyTime::max() if never.
    [[nodiscard]] SteadyTime next_expiry() const noexcept { return next_expiry_; }

    /// Ends every publish; ids that the server may still know are kept until it has released them.
    void abandon();

    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size() + queue0_.size(); }
    [[nodiscard]] std::size_t in_flight() const noexcept {
        return in_flight_.size() + releasing_.size();
    }

private:
    using List = std::list<Outgoing>;
    struct Report {  // to tell once the lists are in order again: on_published() may call publish()
        PublishToken token{};
        PublishOutcome outcome{};
        bool silent = false;
    };
    struct Direct {
        PublishToken token{};
        std::uint64_t position = 0;
    };

    [[nodiscard]] bool can_encode() const noexcept;
    [[nodiscard]] bool is_window_open() const noexcept;
    [[nodiscard]] bool would_go_now(Qos qos) const noexcept;
    [[nodiscard]] bool is_queue_full(std::uint32_t size) const noexcept;
    [[nodiscard]] NotSent refusal_of(Publish const& packet) const noexcept;
    [[nodiscard]] NotSent refusal_now(Publish const& packet, PublishOptions const& options,
                                      Now now) const noexcept;
    [[nodiscard]] bool can_encode_unchanged(Publish const& packet) const noexcept;
    void send_unchanged(Publish const& packet, PublishToken token);
    [[nodiscard]] bool encode_packet(Publish const& packet);
    [[nodiscard]] bool encode_with_alias(Publish& packet);
    [[nodiscard]] bool encode_entry(Outgoing& entry, Now now);
    void send_front(List& queue, Now now);
    void send_pubrel(Outgoing const& entry);

    [[nodiscard]] List& list_of(Outgoing const& entry) noexcept;
    void move(Outgoing& entry, Outgoing::Stage stage);
    void free_id(Outgoing& entry) noexcept;
    void drop_packet(Outgoing& entry) noexcept;
    void note_expiry(Outgoing const& entry) noexcept;
    void recall_in_flight(std::uint64_t handed);

    [[nodiscard]] Report settle(Outgoing& entry, PublishOutcome const& outcome);
    [[nodiscard]] Report give_up(Outgoing& entry, NotSent cause);
    [[nodiscard]] std::vector<Report> forget_session();
    void tell(Report const& report);
    void tell(std::vector<Report> const& reports);

    ClientOptions const& options_;
    Wire& wire_;
    ClientEvents& events_;
    OutgoingAliases aliases_;
    List queue_;
    List queue0_;
    List in_flight_;
    List releasing_;
    std::vector<Direct> direct_;  // QoS 0 in the outbox, not yet taken
    SteadyTime next_expiry_ = SteadyTime::max();
    std::uint32_t queue_bytes_ = 0;
    std::uint32_t open_ = 0;  // publishes of this connection without PUBACK or PUBCOMP
};

}  // namespace spoke::mqtt
