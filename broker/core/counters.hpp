#pragma once

#include <atomic>
#include <cstdint>

namespace spoke::broker {

/// A number with one writer and any readers: no locked instruction on the writer's side.
class Counter {
public:
    void add(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void subtract(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t read() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// Why a message did not go to a receiver that was subscribed.
struct DropCounters {
    Counter offline_qos0;      // QoS 0 to a session without connection
    Counter slow_receiver;     // QoS 0, out-queue full
    Counter queue_full;        // QoS 1/2, session queue full
    Counter damaged;           // QoS 1/2, the store no longer has the message
    Counter expired;           // message expiry passed before the write
    Counter packet_too_large;  // above the client's maximum packet size
    Counter session_ended;     // still queued when its session ended
    Counter not_authorized;    // the receiver may not read the topic, or no longer
};

/// What one shard counts. Written by the shard's thread, read by anyone; added up when read.
struct Counters {
    Counter connections;   // now
    Counter sessions;      // now
    Counter queued_bytes;  // now: session queues and out-queues
    Counter connects_refused;
    Counter authentications_refused;  // of these, and of connected clients that repeat theirs
    Counter handshakes;               // of TLS and WebSocket, done
    Counter pending_closed;     // had sent no CONNECT yet when others came and there was no room
    Counter handshakes_failed;  // the same, given up by either side
    Counter publishes_received;
    Counter publishes_denied;  // not authorized, wills too
    Counter deliveries;        // PUBLISH packets handed to connections
    Counter no_subscriber;     // publishes that matched nobody
    Counter protocol_errors;   // connections closed for what they sent
    Counter keep_alive_timeouts;
    Counter takeovers;
    Counter wills_published;
    Counter retained_refused;  // not kept, the retained store being full
    Counter retains_refused;   // the flag, on command topics; wills too
    Counter store_refused;     // packets refused, the store taking no changes
    Counter client_events;     // told to somebody
    Counter receipts;          // steps that a publisher was told, whether or not it listened
    DropCounters dropped;
};

}  // namespace spoke::broker
