#pragma once

#include <cstdint>
#include <vector>

#include "broker/core/delivery.hpp"
#include "broker/core/ring.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// Where a QoS 1 or 2 delivery stands.
enum class OutboundState : std::uint8_t {
    settled,           // done; kept only until those in front of it are
    awaiting_puback,   // QoS 1
    awaiting_pubrec,   // QoS 2
    awaiting_pubcomp,  // QoS 2, PUBREL is due
};

struct Outbound {
    Delivery
        delivery{};  // no message if the session ends with its connection: it is never sent again
    std::uint64_t send_number = 0;  // which of the ids that were given is its own
    mqtt::PacketId id{};
    OutboundState state = OutboundState::settled;
    bool sent : 1 = false;       // on this connection
    bool unwritten : 1 = false;  // no byte of it was written on any connection
    bool held : 1 = false;       // not to be sent yet: its id is not durable
    bool doubtful : 1 =
        false;  // QoS 2: whether it was written before the process ended is not known
    bool restored : 1 = false;   // from before the process began
    std::uint32_t released = 0;  // order of its PUBREC among others

    /// Whether its client may have it. Not certain of one that was restored.
    [[nodiscard]] bool may_be_written() const noexcept { return !unwritten || restored; }
};

/// The QoS 1 and 2 deliveries of a session that are not settled, in the order of their first
/// sending; packet ids of the server's side (MQTT 5, 2.2.1, 4.3, 4.6). Pure state: says what may be
/// sent, sends nothing.
class OutboundWindow {
public:
    /// A free packet id, never 0 and never one in use [MQTT-2.2.1-4]. At most 65534 may be open.
    [[nodiscard]] mqtt::PacketId next_id() noexcept;
    Outbound& open(mqtt::PacketId id, Delivery delivery);
    /// The same, but it is not to be sent before release().
    Outbound& open_held(mqtt::PacketId id, Delivery delivery);
    /// One that was held may be sent; nothing if it is not there, or not held.
    void release(mqtt::PacketId id, std::uint64_t send_number) noexcept;
    /// As it was when the process ended, in rising order of `send_number`, into an empty window.
    void restore(Outbound outbound);
    /// Behind restore(): the ids that are given next are far from those which were given last, of
    /// which not all may be known.
    void skip_ids(std::uint16_t count) noexcept;
    /// An open one.
    [[nodiscard]] Outbound* find(mqtt::PacketId id) noexcept;

    /// Open ones; all count against the receive maximum from their sending on [MQTT-3.3.4-9].
    [[nodiscard]] std::uint32_t open_count() const noexcept { return open_; }
    [[nodiscard]] bool empty() const noexcept { return open_ == 0; }

    enum class Answer {
        settled,         // that is done, its id is free
        released,        // PUBREC taken: PUBREL is due
        unknown,         // no such id
        wrong_exchange,  // PUBACK for QoS 2, PUBREC for QoS 1
    };
    /// What remains of a delivery that an answer has settled.
    struct Settled {
        StoredAs as{};
        bool wants_receipt = false;
        MessagePtr message{};  // if a receipt is wanted; null: it is in the store alone
    };
    [[nodiscard]] Answer on_puback(mqtt::PacketId id, Settled* settled = nullptr) noexcept;
    /// `is_error`: reason >= 0x80, which settles it [MQTT-4.4.0-2].
    [[nodiscard]] Answer on_pubrec(mqtt::PacketId id, bool is_error,
                                   Settled* settled = nullptr) noexcept;
    [[nodiscard]] Answer on_pubcomp(mqtt::PacketId id, Settled* settled = nullptr) noexcept;
    /// Gives up one that was never written.
    void forget(mqtt::PacketId id) noexcept;
    /// Its connection is gone and no byte of it was written: when it is sent again, that is the
    /// first time, and until then its message may expire.
    void mark_unwritten(mqtt::PacketId id) noexcept;

    /// A new connection: nothing is sent on it yet. Drops what has no message to send again.
    void begin_resume();
    /// Ids that wait for PUBCOMP, in the order of their PUBRECs [MQTT-4.6.0-4].
    [[nodiscard]] std::vector<mqtt::PacketId> releases() const;
    /// The next PUBLISH to send again, in the order of the first sends [MQTT-4.6.0-1], or nullptr.
    [[nodiscard]] Outbound* next_unsent() noexcept;
    /// Those that are to be sent again, or for the first time after they were held.
    [[nodiscard]] std::uint32_t unsent_count() const noexcept { return unsent_; }
    void mark_sent(Outbound& outbound) noexcept;

    template <class Visit>
    void each_open(Visit&& visit) const {
        for (std::uint32_t i = 0; i < ring_.size(); ++i) {
            if (ring_[i].state != OutboundState::settled) visit(ring_[i]);
        }
    }

    template <class Visit>
    void each_open(Visit&& visit) {
        for (std::uint32_t i = 0; i < ring_.size(); ++i) {
            if (ring_[i].state != OutboundState::settled) visit(ring_[i]);
        }
    }

private:
    Outbound& push(mqtt::PacketId id, Delivery delivery, bool held);
    Answer settle(Outbound& outbound, Settled* settled = nullptr) noexcept;
    void drop_settled_front() noexcept;
    void compact();

    Ring<Outbound> ring_;
    std::uint32_t open_ = 0;
    std::uint32_t unsent_ = 0;       // counted from begin_resume()
    std::uint32_t resume_from_ = 0;  // no unsent one stands in front of this index
    std::uint32_t releases_ = 0;
    std::uint64_t given_ = 0;        // how many ids were given; tells the last one
    std::uint64_t front_given_ = 0;  // the same when the front of the ring was; never too high
};

}  // namespace spoke::broker
