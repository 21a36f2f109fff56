#include "broker/net/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "broker/net/transport_tcp.hpp"
#include "tests/unit/broker/net/running_broker.hpp"
#include "tests/unit/broker/net/websocket_client.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::Version;
namespace fs = std::filesystem;

namespace {

sockaddr_un unix_address(std::string const& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

sockaddr_in6 v6_address(std::uint16_t port) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    return address;
}

/// A folder that goes away with the test.
struct Folder {
    Folder() {
        char name[] = "/tmp/spoke-listener-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path = name;
    }
    ~Folder() { fs::remove_all(path); }
    [[nodiscard]] std::string file(std::string const& name) const { return path + "/" + name; }
    std::string path{};
};

ListenerSettings at(std::string address) {
    ListenerSettings settings;
    settings.address = std::move(address);
    settings.port = 0;
    return settings;
}

/// The next connection; it has been made already.
Socket accepted(Listener& listener, std::uint8_t shard = 0) {
    Socket socket{listener.accept(shard).descriptor};
    REQUIRE(socket.descriptor() >= 0);
    return socket;
}

int option_of(Socket const& socket, int level, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    REQUIRE(::getsockopt(socket.descriptor(), level, option, &value, &size) == 0);
    return value;
}

mode_t mode_of(std::string const& path) {
    struct stat found {};
    REQUIRE(::lstat(path.c_str(), &found) == 0);
    return found.st_mode & 07777;
}

}  // namespace

TEST_CASE("listener: the connections have the options of the listener") {
    auto settings = at("127.0.0.1");
    settings.socket.send_buffer_bytes = 40'000;
    settings.socket.receive_buffer_bytes = 50'000;
    settings.socket.tcp_user_timeout = 12'345ms;
    settings.socket.tcp_keepalive = true;
    settings.socket.tcp_keepalive_idle = 11s;
    settings.socket.tcp_keepalive_interval = 12s;
    settings.socket.tcp_keepalive_count = 13;
    Listener listener{settings, 1};
    SocketClient client{listener.port()};
    auto socket = accepted(listener);
    CHECK(option_of(socket, SOL_SOCKET, SO_SNDBUF) == 80'000);  // Linux gives twice as much
    CHECK(option_of(socket, SOL_SOCKET, SO_RCVBUF) == 100'000);
    CHECK(option_of(socket, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(option_of(socket, IPPROTO_TCP, TCP_USER_TIMEOUT) == 12'345);
    CHECK(option_of(socket, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option_of(socket, IPPROTO_TCP, TCP_KEEPIDLE) == 11);
    CHECK(option_of(socket, IPPROTO_TCP, TCP_KEEPINTVL) == 12);
    CHECK(option_of(socket, IPPROTO_TCP, TCP_KEEPCNT) == 13);
    CHECK((::fcntl(socket.descriptor(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(socket.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("listener: without options a connection is as the system makes it, but for Nagle") {
    auto settings = at("127.0.0.1");
    settings.socket.tcp_nodelay = GENERATE(false, true);
    Listener listener{settings, 1};
    SocketClient client{listener.port()};
    auto socket = accepted(listener);
    CHECK(option_of(socket, IPPROTO_TCP, TCP_NODELAY) == (settings.socket.tcp_nodelay ? 1 : 0));
    CHECK(option_of(socket, SOL_SOCKET, SO_KEEPALIVE) == 0);
    CHECK(option_of(socket, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
}

TEST_CASE("listener: a name stands for all its addresses, on one port") {
    Listener listener{at("localhost"), 3};
    CHECK(listener.name() == "localhost:" + std::to_string(listener.port()));
    auto sockets = listener.sockets_of(0);
    REQUIRE(sockets.size() >= 1);
    CHECK(listener.sockets_of(2).data() == sockets.data());
    SocketClient by_v4{listener.port()};
    auto first = accepted(listener, 2);
    if (sockets.size() < 2) return;  // a machine whose localhost has one address
    SocketClient by_v6{v6_address(listener.port()), {}};
    auto second = accepted(listener, 1);
    CHECK(listener.accept(0).descriptor == -1);
}

TEST_CASE("listener: :: serves IPv4 as well unless it must not") {
    auto settings = at("::");
    settings.socket.ipv6_only = GENERATE(false, true);
    Listener listener{settings, 1};
    SocketClient by_v6{v6_address(listener.port()), {}};
    CHECK(TcpTransport{::dup(accepted(listener).descriptor())}.peer().starts_with("[::1]:"));
    if (settings.socket.ipv6_only) {
        CHECK_THROWS(SocketClient{listener.port()});
        return;
    }
    SocketClient by_v4{listener.port()};
    CHECK(TcpTransport{::dup(accepted(listener).descriptor())}.peer().starts_with("127.0.0.1:"));
}

TEST_CASE("listener: a name that means nothing, and an address that is not here") {
    auto name = std::string(300, 'x');  // too long for anybody to be asked
    CHECK_THROWS_WITH(Listener(at(name), 1),
                      Catch::StartsWith("cannot listen on " + name + ":0: "));
    CHECK_THROWS_WITH(Listener(at("192.0.2.1"), 1), Catch::Contains("bind"));
}

TEST_CASE("listener: with reuse_port each shard has a socket of its own, without they share") {
    auto settings = at("127.0.0.1");
    settings.socket.reuse_port = true;
    Listener listener{settings, 3};
    std::vector<SocketClient> clients;
    constexpr int kCount = 60;
    for (int i = 0; i < kCount; ++i) clients.emplace_back(listener.port());
    int got[3] = {};
    for (std::uint8_t shard = 0; shard < 3; ++shard) {
        while (true) {
            Socket socket{listener.accept(shard).descriptor};
            if (socket.descriptor() < 0) break;
            ++got[shard];
        }
        CHECK(got[shard] > 0);
    }
    CHECK(got[0] + got[1] + got[2] == kCount);
    auto same = settings;
    same.port = listener.port();
    CHECK_NOTHROW(Listener(same, 1));
    same.socket.reuse_port = false;
    CHECK_THROWS_WITH(Listener(same, 1), Catch::Contains("in use"));
}

TEST_CASE("listener: shards with sockets of their own serve, and move connections home") {
    auto options = with_shards(3);
    options.net.listeners[0].socket.reuse_port = true;
    RunningBroker broker{options};
    std::vector<SocketClient> clients;
    for (int i = 0; i < 30; ++i) {
        auto id = broker.id_on_shard(i % 3, "c" + std::to_string(i));
        clients.push_back(broker.connected(connect(Version::v5).id(id)));
        clients.back().sends(subscribe(1, "all", qos0)).gets(suback(1));
    }
    clients[0].sends(publish("all", "hello"));
    for (auto& client : clients) client.gets(publish("all", "hello"));
}

// --- Unix sockets ---

TEST_CASE("Unix socket: serves, has its mode, is gone with the broker") {
    Folder folder;
    auto path = folder.file("mqtt.sock");
    auto options = with_shards(3);
    options.net.listeners[0].address = "unix:" + path;
    options.net.listeners[0].unix_socket.mode = GENERATE(0600U, 0660U, 0666U, 0777U);
    {
        RunningBroker broker{options};
        CHECK(broker.server().addresses()[0] == "unix:" + path);
        CHECK(broker.server().ports()[0] == 0);
        CHECK(mode_of(path) == options.net.listeners[0].unix_socket.mode);
        for (int shard = 0; shard < 3; ++shard) {
            SocketClient client{unix_address(path), {}};
            client.sends(connect(Version::v5).id(broker.id_on_shard(shard, "c"))).gets(connack());
            client.sends(pingreq()).gets(pingresp());
        }
    }
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("Unix socket: the peer is told by its process") {
    Folder folder;
    Listener listener{at("unix:" + folder.file("s")), 1};
    SocketClient client{unix_address(folder.file("s")), {}};
    TcpTransport transport{::dup(accepted(listener).descriptor())};
    CHECK(transport.peer() ==
          "unix:uid=" + std::to_string(::getuid()) + ",pid=" + std::to_string(::getpid()));
}

TEST_CASE("Unix socket: owner and group by name or number") {
    if (::getuid() != 0) return;  // only root may give files away
    Folder folder;
    auto path = folder.file("s");
    auto settings = at("unix:" + path);
    settings.unix_socket.owner = GENERATE("nobody", "65534");
    settings.unix_socket.group = "daemon";
    {
        Listener listener{settings, 1};
        struct stat found {};
        REQUIRE(::lstat(path.c_str(), &found) == 0);
        CHECK(found.st_uid == 65534);
        CHECK(found.st_gid == 1);
    }
    settings.unix_socket.group = "no such group";
    CHECK_THROWS_WITH(Listener(settings, 1), Catch::Contains("there is no group no such group"));
    CHECK_FALSE(fs::exists(path));
    settings.unix_socket.owner = "no such user";
    CHECK_THROWS_WITH(Listener(settings, 1), Catch::Contains("there is no user no such user"));
}

TEST_CASE("Unix socket: one left behind is replaced, anything else stays") {
    Folder folder;
    auto path = folder.file("s");
    auto settings = at("unix:" + path);

    SECTION("a socket nobody listens on") {
        auto address = unix_address(path);
        Socket left{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::bind(left.descriptor(), reinterpret_cast<sockaddr*>(&address), sizeof address) ==
                0);
        Listener listener{settings, 1};
        SocketClient client{unix_address(path), {}};
        CHECK(accepted(listener).descriptor() >= 0);
    }
    SECTION("a socket somebody listens on, even if he accepts nobody") {
        settings.socket.backlog = 1;
        Listener first{settings, 1};
        CHECK_THROWS_WITH(Listener(settings, 1), Catch::Contains("somebody listens there"));
        SocketClient one{unix_address(path), {}};
        CHECK_THROWS_WITH(Listener(settings, 1), Catch::Contains("somebody listens there"));
        CHECK(fs::exists(path));
    }
    SECTION("a file") {
        std::ofstream{path} << "precious";
        CHECK_THROWS_WITH(Listener(settings, 1), Catch::Contains("it is no socket"));
        CHECK(fs::file_size(path) == 8);
    }
    SECTION("a link to a socket") {
        Listener first{at("unix:" + folder.file("other")), 1};
        fs::create_symlink(folder.file("other"), path);
        CHECK_THROWS_WITH(Listener(settings, 1), Catch::Contains("it is no socket"));
        CHECK(fs::is_symlink(path));
    }
    SECTION("a folder that is not there") {
        CHECK_THROWS_WITH(Listener(at("unix:" + folder.file("no/s")), 1),
                          Catch::StartsWith("cannot listen on unix:" + folder.file("no/s")));
    }
    SECTION("what somebody else put in its place is not removed") {
        {
            Listener listener{settings, 1};
            fs::remove(path);
            std::ofstream{path} << "precious";
        }
        CHECK(fs::file_size(path) == 8);
    }
}
