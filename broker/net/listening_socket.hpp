#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/net/settings.hpp"

namespace spoke::broker {

/// A socket, which it closes.
class Socket {
public:
    explicit Socket(int descriptor) noexcept : descriptor_(descriptor) {}
    Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Socket();
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

/// Listening TCP sockets for all addresses that a name stands for.
struct TcpListening {
    std::vector<Socket> sockets;  // for shard 0 one per address, then for the next shard if each
                                  // has its own
    std::size_t addresses = 0;
    std::uint16_t port = 0;  // that was bound, the same for all
};

/// Binds and listens, `copies` times on each address. Options are set on the listening sockets:
/// Linux hands them on to the connections, which saves the calls for each of those.
/// Of the addresses of a name, those this machine does not have are left out.
/// Errors  std::runtime_error with what is wrong, without the address.
[[nodiscard]] TcpListening listen_tcp(std::string const& address, std::uint16_t port,
                                      SocketSettings const& settings, std::uint8_t copies);

/// The file of a Unix socket, which it removes, unless somebody else has put another one there.
class UnixFile {
public:
    /// Errors  std::runtime_error
    explicit UnixFile(std::string path);
    UnixFile(UnixFile const&) = delete;
    UnixFile& operator=(UnixFile const&) = delete;
    ~UnixFile();
    [[nodiscard]] std::string const& path() const noexcept { return path_; }

private:
    std::string path_;
    dev_t device_;
    ino_t inode_;
};

struct UnixListening {
    Socket socket;
    std::unique_ptr<UnixFile> file;
};

/// Binds and listens. A socket file on which nobody listens is replaced; anything else at `path`
/// stays and is an error. Nobody can connect before mode and owner are set.
/// Errors  std::runtime_error with what is wrong, without the path.
[[nodiscard]] UnixListening listen_unix(std::string const& path, SocketSettings const& settings,
                                        UnixSettings const& access);

}  // namespace spoke::broker
