#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "broker/core/link.hpp"
#include "broker/net/poller.hpp"
#include "broker/net/transport.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::broker {

class Shard;
class Listener;

/// One network connection: the core's Link and the descriptor it stands for. Owned by the shard it
/// is on; while idle it owns no buffer.
class Connection final : public Link, public Pollable {
public:
    Connection(std::unique_ptr<Transport> transport, Listener& listener);
    ~Connection() override;

    void on_ready(std::uint32_t events) override;
    [[nodiscard]] std::string peer() const { return transport->peer(); }

    std::unique_ptr<Transport> transport;
    Listener& listener;                          // outlives all its connections
    Shard* shard = nullptr;                      // the one it is on; null on its way to another
    std::size_t index = 0;                       // its place in that shard's list
    std::list<Connection*>::iterator pending{};  // its place among those without CONNECT
    Buffer partial{};                            // what came of a packet that is not whole yet
    std::uint64_t backlog = 0;  // bytes of the out-queue that the shard's counter holds
    std::uint32_t watched = 0;  // events asked of the poller
    bool wants_write = false;   // the socket was full: write when it is ready
    bool broken = false;        // a write failed: nothing more goes out
    bool lingers = false;       // closing, and the time for that runs
    bool half_closed = false;   // closing: all is written, waits for the peer's end
    bool dead = false;          // closed; freed at the end of the turn
    bool is_pending = false;    // has sent no whole CONNECT yet; `pending` holds
    bool opening = false;       // counts among its listener's handshakes on this shard
    bool reads_again = false;   // is in the shard's list of those with input inside the transport
};

}  // namespace spoke::broker
