#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace spoke::broker {

/// What one non-blocking read or write did.
struct IoResult {
    enum class Status : std::uint8_t {
        done,
        would_block,
        closed,  // the end of the stream, or an error of the socket: nothing can be said any more
        failed,  // the layer gave the stream up and told the peer so in its own way; see failure()
    };
    Status status = Status::done;
    std::size_t size = 0;  // bytes moved; 0 unless done
};

/// A byte stream that is read and written when its descriptor is ready. Never blocks. Kinds of
/// connection are stacked: TCP, then as the listener wants them PROXY, TLS, WebSocket; each layer
/// owns the one below, and the uppermost is what a Connection has. One thread at a time: the
/// shard's that the connection is on.
///
/// Opening: a layer above TCP makes its handshake within read_some() and on_writable(), and gives
/// would_block until is_open(). The listener's connect timeout covers it.
///
/// What the shard must know after each call stands in the three flags, which cost no virtual call.
/// A layer keeps them true for itself and all below.
class Transport {
public:
    Transport() = default;
    Transport(Transport const&) = delete;
    Transport& operator=(Transport const&) = delete;
    virtual ~Transport() = default;

    [[nodiscard]] virtual int descriptor() const noexcept = 0;

    /// Fills `into` as far as there is something: less than asked for means that the descriptor is
    /// empty. When `failed` was given once, or after shut_down_write(), what comes is thrown away:
    /// then only the peer's end (`closed`) is of interest, and any `done` is to be ignored.
    virtual IoResult read_some(std::span<std::byte> into) noexcept = 0;
    /// Gathered; at least one piece. What is counted as moved is the layer's, whether or not the
    /// socket has it yet; less than asked for means that the rest is to be given again when the
    /// descriptor is writable. At the end of the connection too it counts what the peer may have
    /// got any of. Not called before is_open().
    virtual IoResult write_some(std::span<iovec const> pieces) noexcept = 0;
    /// Nothing more will be written; the peer sees the end of the stream, after all that was moved.
    virtual void shut_down_write() noexcept = 0;
    /// The descriptor has become writable while wants_write(): carries on with what waited for
    /// that. What comes of it (an end, a failure, input) is told by the next read, for which
    /// has_input() is set.
    virtual void on_writable() noexcept {}

    /// Why `failed` or `closed` was given, as text for the log; empty if the peer just left.
    [[nodiscard]] virtual std::string failure() const { return {}; }
    /// The user name that the transport has shown, as by a certificate; null if none. Once, when
    /// is_open().
    [[nodiscard]] virtual std::unique_ptr<std::string> take_identity() { return nullptr; }
    /// "127.0.0.1:51112": who is at the other end, as the kernel or a trusted proxy says.
    [[nodiscard]] virtual std::string peer() const = 0;

    /// The handshakes of all layers are done.
    [[nodiscard]] bool is_open() const noexcept { return is_open_; }
    /// A layer holds input that a read would give although the descriptor may have nothing more: it
    /// is to be read again in the next turn.
    [[nodiscard]] bool has_input() const noexcept { return has_input_; }
    /// A layer waits for the descriptor to be writable: on_writable() is to be called then.
    [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }

protected:
    void set_open(bool open) noexcept { is_open_ = open; }
    void set_has_input(bool has_input) noexcept { has_input_ = has_input; }
    void set_wants_write(bool wants_write) noexcept { wants_write_ = wants_write; }

private:
    bool is_open_ = true;
    bool has_input_ = false;
    bool wants_write_ = false;
};

}  // namespace spoke::broker
