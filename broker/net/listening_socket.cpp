#include "broker/net/listening_socket.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>

namespace spoke::broker {

namespace {

/// How often other ports are tried when any will do, but not all addresses have the first one free.
constexpr int kPortsTried = 20;

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

[[noreturn]] void fail(std::string_view what, int error) {
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(error)));
}

AddressList resolve(std::string const& address) {
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    int error = ::getaddrinfo(address.empty() ? nullptr : address.c_str(),
                              address.empty() ? "0" : nullptr, &hints, &found);
    if (error != 0) throw std::runtime_error(::gai_strerror(error));
    return {found, &::freeaddrinfo};
}

void set(Socket const& socket, int level, int option, int value, std::string_view name) {
    if (::setsockopt(socket.descriptor(), level, option, &value, sizeof value) != 0)
        fail(name, errno);
}

void set_buffers(Socket const& socket, SocketSettings const& settings) {
    if (auto size = settings.send_buffer_bytes; size > 0)
        set(socket, SOL_SOCKET, SO_SNDBUF, static_cast<int>(size), "send_buffer_bytes");
    if (auto size = settings.receive_buffer_bytes; size > 0)
        set(socket, SOL_SOCKET, SO_RCVBUF, static_cast<int>(size), "receive_buffer_bytes");
}

void set_tcp_options(Socket const& socket, SocketSettings const& settings) {
    set(socket, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (settings.reuse_port) set(socket, SOL_SOCKET, SO_REUSEPORT, 1, "reuse_port");
    if (settings.tcp_nodelay) set(socket, IPPROTO_TCP, TCP_NODELAY, 1, "tcp_nodelay");
    if (auto time = settings.tcp_user_timeout.count(); time > 0)
        set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(time), "tcp_user_timeout");
    if (!settings.tcp_keepalive) return;
    set(socket, SOL_SOCKET, SO_KEEPALIVE, 1, "tcp_keepalive");
    set(socket, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(settings.tcp_keepalive_idle.count()),
        "tcp_keepalive_idle");
    set(socket, IPPROTO_TCP, TCP_KEEPINTVL,
        static_cast<int>(settings.tcp_keepalive_interval.count()), "tcp_keepalive_interval");
    set(socket, IPPROTO_TCP, TCP_KEEPCNT, settings.tcp_keepalive_count, "tcp_keepalive_count");
}

Socket new_socket(int family) {
    Socket socket{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (socket.descriptor() < 0) fail("socket", errno);
    return socket;
}

void set_port(sockaddr_storage& address, std::uint16_t port) noexcept {
    if (address.ss_family == AF_INET6) {
        reinterpret_cast<sockaddr_in6&>(address).sin6_port = htons(port);
    } else {
        reinterpret_cast<sockaddr_in&>(address).sin_port = htons(port);
    }
}

std::uint16_t bound_port(Socket const& socket) noexcept {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.ss_family == AF_INET6
                     ? reinterpret_cast<sockaddr_in6 const&>(address).sin6_port
                     : reinterpret_cast<sockaddr_in const&>(address).sin_port);
}

/// One try with all addresses of a name.
class TcpBinder {
public:
    TcpBinder(addrinfo const& addresses, SocketSettings const& settings, std::uint8_t copies)
        : addresses_(addresses), settings_(settings), copies_(copies) {}

    /// False if the port is in use where any would do.
    [[nodiscard]] bool try_port(std::uint16_t port) {
        result_ = {{}, 0, port};
        int missing = 0;
        for (int copy = 0; copy < copies_; ++copy) {
            std::size_t before = result_.sockets.size();
            for (auto const* info = &addresses_; info != nullptr; info = info->ai_next) {
                int error = add(*info);
                if (error == EADDRINUSE && port == 0 && result_.port != 0) return false;
                if (error == EADDRINUSE) throw std::runtime_error("the port is in use");
                bool has_others = addresses_.ai_next != nullptr;
                bool is_absent = error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
                if (error != 0 && !(is_absent && has_others)) fail("bind", error);
                if (error != 0) missing = error;
            }
            result_.addresses = result_.sockets.size() - before;
        }
        if (result_.addresses == 0) fail("bind", missing);
        return true;
    }
    [[nodiscard]] TcpListening take() { return std::move(result_); }

private:
    /// Gives errno of what an address may be refused for.
    [[nodiscard]] int add(addrinfo const& info) {
        int family = info.ai_family;
        Socket socket{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
        if (socket.descriptor() < 0) return errno;
        set_buffers(socket, settings_);
        set_tcp_options(socket, settings_);
        if (family == AF_INET6) {
            // Beside an IPv4 address of the same name it must leave that one alone.
            bool only = settings_.ipv6_only || addresses_.ai_next != nullptr;
            set(socket, IPPROTO_IPV6, IPV6_V6ONLY, only ? 1 : 0, "ipv6_only");
        }
        sockaddr_storage address{};
        std::memcpy(&address, info.ai_addr, info.ai_addrlen);
        set_port(address, result_.port);
        if (::bind(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), info.ai_addrlen) !=
            0)
            return errno;
        // Two may bind without reuse_port, but only one of them may listen.
        if (::listen(socket.descriptor(), settings_.backlog) != 0) return errno;
        result_.port = bound_port(socket);
        result_.sockets.push_back(std::move(socket));
        return 0;
    }

    addrinfo const& addresses_;
    SocketSettings const& settings_;
    std::uint8_t copies_;
    TcpListening result_{};
};

// --- Unix sockets ---

sockaddr_un unix_address(std::string const& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        throw std::runtime_error(
            fmt::format("a path may have {} bytes at most", sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

/// Removes a socket that was left behind; what else stands there is an error.
void remove_stale(std::string const& path, sockaddr_un const& address) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return;
        fail("lstat", errno);
    }
    if (!S_ISSOCK(found.st_mode))
        throw std::runtime_error("there is a file already, and it is no socket");
    auto probe = new_socket(AF_UNIX);
    int connected =
        ::connect(probe.descriptor(), reinterpret_cast<sockaddr const*>(&address), sizeof address);
    if (connected == 0 || errno == EAGAIN) throw std::runtime_error("somebody listens there");
    if (errno != ECONNREFUSED) fail("connect", errno);
    if (::unlink(path.c_str()) != 0) fail("unlink", errno);
}

template <class Id>
std::optional<Id> number_of(std::string const& text) noexcept {
    Id id{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{id}
                                                                    : std::nullopt;
}

/// Start-up is one thread, so that the plain functions may be used.
uid_t user_id(std::string const& user) {
    if (user.empty()) return static_cast<uid_t>(-1);  // leaves it as it is
    if (auto number = number_of<uid_t>(user)) return *number;
    auto const* entry = ::getpwnam(user.c_str());
    if (entry == nullptr) throw std::runtime_error(fmt::format("there is no user {}", user));
    return entry->pw_uid;
}

gid_t group_id(std::string const& group) {
    if (group.empty()) return static_cast<gid_t>(-1);
    if (auto number = number_of<gid_t>(group)) return *number;
    auto const* entry = ::getgrnam(group.c_str());
    if (entry == nullptr) throw std::runtime_error(fmt::format("there is no group {}", group));
    return entry->gr_gid;
}

void set_access(std::string const& path, UnixSettings const& access) {
    auto user = user_id(access.owner);
    auto group = group_id(access.group);
    bool changes_owner = !access.owner.empty() || !access.group.empty();
    if (changes_owner && ::lchown(path.c_str(), user, group) != 0) fail("chown", errno);
    if (::chmod(path.c_str(), static_cast<mode_t>(access.mode)) != 0) fail("chmod", errno);
}

}  // namespace

Socket::~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

TcpListening listen_tcp(std::string const& address, std::uint16_t port,
                        SocketSettings const& settings, std::uint8_t copies) {
    auto addresses = resolve(address);
    TcpBinder binder{*addresses, settings, copies};
    for (int tries = 0; tries < kPortsTried; ++tries) {
        if (binder.try_port(port)) return binder.take();
    }
    throw std::runtime_error("found no port that is free on all its addresses");
}

UnixFile::UnixFile(std::string path) : path_(std::move(path)) {
    struct stat made {};
    if (::lstat(path_.c_str(), &made) != 0) fail("lstat", errno);
    device_ = made.st_dev;
    inode_ = made.st_ino;
}

UnixFile::~UnixFile() {
    struct stat found {};
    bool is_ours =
        ::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_;
    if (is_ours) ::unlink(path_.c_str());
}

UnixListening listen_unix(std::string const& path, SocketSettings const& settings,
                          UnixSettings const& access) {
    auto address = unix_address(path);
    auto socket = new_socket(AF_UNIX);
    set_buffers(socket, settings);
    remove_stale(path, address);
    if (::bind(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail("bind", errno);
    auto file = std::make_unique<UnixFile>(path);
    set_access(path, access);  // before listen(): until then the kernel lets nobody connect
    if (::listen(socket.descriptor(), settings.backlog) != 0) fail("listen", errno);
    return {std::move(socket), std::move(file)};
}

}  // namespace spoke::broker
