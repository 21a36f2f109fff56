// A shard's reading and writing: from sockets to packets, from out-queues to sockets.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "broker/net/large_packet.hpp"
#include "broker/net/shard.hpp"
#include "protocol/codec/framing.hpp"

namespace spoke::broker {

namespace {

/// Most that one read takes, and the least room that a read is given.
constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kReadRoomMin = 16 * 1024;
/// Packets larger than this are put together in memory of their own.
constexpr std::size_t kLargePacket = kReadSize;
constexpr std::size_t kPiecesMax = 64;

/// The size of the packet that `partial` is the beginning of, or 0 if that is not known yet.
std::size_t packet_size_of(Bytes partial, std::uint32_t packet_size_max) {
    if (partial.empty()) return 0;
    auto header = mqtt::read_fixed_header(partial, packet_size_max);
    return header && *header ? (*header)->packet_size() : 0;
}

}  // namespace

void Shard::read(Connection& connection) {
    std::size_t budget = settings_.read_budget_bytes;
    for (;;) {
        IoResult result;
        std::size_t asked = kReadSize;
        std::size_t packet_size =
            packet_size_of(connection.partial, connection.settings->packet_size_max);
        if (packet_size > kLargePacket) {
            result = read_large(connection, packet_size);
        } else {
            std::size_t held = connection.partial.size();
            if (input_.room() < held + kReadRoomMin) {
                flush_touched();
                input_.reset();
            }
            auto space = input_.free_space();
            asked = std::min(space.size() - held, kReadSize);
            result = connection.transport->read_some(space.subspan(held, asked));
            if (result.status == IoResult::Status::done) {
                if (held > 0) std::memcpy(space.data(), connection.partial.data(), held);
                Buffer{}.swap(connection.partial);
                std::byte* bytes = input_.keep(held + result.size);
                if (!handle_input(connection, {bytes, held + result.size})) return;
            }
        }
        if (result.status == IoResult::Status::closed) return lose(connection);
        if (result.status == IoResult::Status::failed) return fail(connection);
        if (result.status == IoResult::Status::would_block || connection.is_at_rest()) return;
        if (connection.state == LinkState::closing) return;
        // Less than asked for: the socket is empty, no need to ask it.
        if (result.size < asked || result.size >= budget) return;
        budget -= result.size;
    }
}

IoResult Shard::read_large(Connection& connection, std::size_t packet_size) {
    Buffer& partial = connection.partial;
    std::size_t held = partial.size();
    auto result = connection.transport->read_some(make_room(partial, packet_size, kReadSize));
    partial.resize(held + result.size);
    if (partial.size() < packet_size) return result;
    Buffer packet = std::move(partial);
    partial = Buffer{};
    // When the connection has moved to another shard, or closes, nothing more is read here.
    if (!handle_input(connection, packet)) result.status = IoResult::Status::would_block;
    flush_touched();  // what was queued may point into the packet
    return result;
}

bool Shard::handle_input(Connection& connection, std::span<std::byte> bytes) {
    std::uint64_t publishes = core_.counters().publishes_received.read();
    auto done = handle_packets(connection, bytes);
    if (!done) return false;
    if (connection.state == LinkState::closing) return false;
    auto rest = bytes.subspan(*done);
    connection.partial.assign(rest.begin(), rest.end());
    if (core_.counters().publishes_received.read() != publishes) pause_if_too_much(connection);
    return true;
}

std::optional<std::size_t> Shard::handle_packets(Connection& connection,
                                                 std::span<std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size() && connection.state != LinkState::closing &&
           !connection.awaits_verdict && !connection.awaits_disk) {
        auto rest = bytes.subspan(done);
        auto header = mqtt::read_fixed_header(rest, connection.settings->packet_size_max);
        if (!header) {
            core_.on_bad_bytes(connection, header.error());
            break;
        }
        if (!*header || (*header)->packet_size() > rest.size()) break;
        std::size_t size = (*header)->packet_size();
        if (connection.state == LinkState::connected) {
            core_.on_packet(connection, rest.first(size));
        } else if (!handle_first(connection, rest.first(size), rest.subspan(size))) {
            return std::nullopt;
        }
        done += size;
    }
    return done;
}

bool Shard::handle_first(Connection& connection, Bytes frame, std::span<std::byte const> behind) {
    if (!connection.identity) connection.identity = connection.transport->take_identity();
    end_pending(connection);
    auto checked = core_.admit(connection, frame);
    if (!checked) return true;
    if (home_shard(checked->packet.client_id, count_) != index_) {
        move_away(connection, std::move(*checked), behind);
        return false;
    }
    core_.on_connect(connection, std::move(*checked));
    return true;
}

void Shard::discard_input(Connection& connection) {
    auto space = input_.free_space();
    std::size_t size = std::min(space.size(), kReadSize);
    if (size < kReadRoomMin) return;  // the next turn has room again
    auto result = connection.transport->read_some(space.first(size));
    if (result.status == IoResult::Status::closed) lose(connection);
}

void Shard::pause_if_too_much(Connection& connection) {
    if (connection.paused || wiring_.neighbours.queued_bytes() <= wiring_.memory_watermark_bytes)
        return;
    connection.paused = true;
    paused_.push_back(&connection);
    core_.touch(connection);
}

void Shard::resume_paused() {
    if (wiring_.neighbours.queued_bytes() > wiring_.memory_watermark_bytes / 8 * 7) return;
    for (Connection* connection : std::exchange(paused_, {})) {
        connection->paused = false;
        watch(*connection);
    }
}

void Shard::flush_touched() {
    auto& touched = core_.touched();
    for (std::size_t i = 0; i < touched.size(); ++i) {
        auto& connection = static_cast<Connection&>(*touched[i]);
        if (!connection.dead) flush(connection);
    }
}

void Shard::flush(Connection& connection) {
    OutQueue& out = connection.out;
    std::array<iovec, kPiecesMax> pieces;
    while (!connection.broken && !connection.wants_write) {
        core_.before_write(connection);
        std::size_t count = out.gather(pieces);
        if (count == 0) break;
        std::size_t size = 0;
        for (std::size_t i = 0; i < count; ++i) size += pieces[i].iov_len;
        auto result = connection.transport->write_some({pieces.data(), count});
        connection.broken =
            result.status == IoResult::Status::closed || result.status == IoResult::Status::failed;
        connection.wants_write = result.size < size;
        core_.on_written(connection, result.size);
        if (out.empty()) core_.on_drained(connection);
    }
    // Nothing but what expired may be left. Of a broken one the core takes it back.
    if (out.bytes() == 0) out.clear(core_.segments());
    if (!out.empty()) out.spill();
}

void Shard::finish(Connection& connection) {
    if (connection.linger_over) return lose(connection);
    end_opening(connection, false);
    end_pending(connection);
    if (!connection.lingers) {
        connection.lingers = true;
        core_.linger(connection, settings_.linger);
    }
    if (connection.out.empty() && !connection.half_closed) {
        // Closing outright with input unread would make the kernel reset the connection, and the
        // peer would lose the packet that tells it why.
        connection.half_closed = true;
        connection.transport->shut_down_write();
    }
}

void Shard::account(Connection& connection) {
    auto& queued = core_.counters().queued_bytes;
    queued.add(connection.out.bytes());
    queued.subtract(connection.backlog);
    connection.backlog = connection.out.bytes();
}

void Shard::watch(Connection& connection) {
    note_input(connection);
    bool writes = connection.wants_write || connection.transport->wants_write();
    std::uint32_t events = (connection.is_at_rest() ? 0U : std::uint32_t{EPOLLIN}) |
                           (writes ? std::uint32_t{EPOLLOUT} : 0U);
    if (events == connection.watched) return;
    connection.watched = events;
    poller_.change(connection.transport->descriptor(), connection, events);
}

void Shard::lose(Connection& connection) {
    if (connection.state == LinkState::awaiting_connect) {
        if (auto why = connection.transport->failure(); !why.empty()) log_failure(connection, why);
    }
    end_opening(connection, false);
    core_.on_closed(connection);
    account(connection);
    connection.dead = true;
    if (connection.paused) std::erase(paused_, &connection);
    dead_.push_back(take_out(connection));
}

}  // namespace spoke::broker
