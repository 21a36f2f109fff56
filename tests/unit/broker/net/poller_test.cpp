#include "broker/net/poller.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <system_error>
#include <vector>

using namespace spoke::broker;

namespace {

/// One end of a connected pair of sockets that notes its events.
struct Watched final : Pollable {
    Watched() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0); }
    ~Watched() override {
        ::close(ends[0]);
        if (ends[1] >= 0) ::close(ends[1]);
    }
    void on_ready(std::uint32_t ready) override { events.push_back(ready); }
    void peer_writes() { REQUIRE(::send(ends[1], "x", 1, 0) == 1); }
    void peer_closes() {
        ::close(ends[1]);
        ends[1] = -1;
    }

    int ends[2] = {-1, -1};
    std::vector<std::uint32_t> events{};
};

std::size_t poll(Poller& poller) {
    auto ready = poller.ready();
    for (auto const& event : ready) static_cast<Pollable*>(event.data.ptr)->on_ready(event.events);
    return ready.size();
}

}  // namespace

TEST_CASE("poller: tells which are ready, for as long as they are") {
    Poller poller;
    Watched one;
    Watched other;
    poller.add(one.ends[0], one, EPOLLIN);
    poller.add(other.ends[0], other, EPOLLIN);
    CHECK(poll(poller) == 0);
    one.peer_writes();
    CHECK(poll(poller) == 1);
    CHECK(poll(poller) == 1);
    CHECK(one.events == std::vector<std::uint32_t>{EPOLLIN, EPOLLIN});
    CHECK(other.events.empty());
    char byte;
    REQUIRE(::recv(one.ends[0], &byte, 1, 0) == 1);
    CHECK(poll(poller) == 0);
}

TEST_CASE("poller: watches what it is told to, until it is told to stop") {
    Poller poller;
    Watched one;
    poller.add(one.ends[0], one, 0);
    one.peer_writes();
    CHECK(poll(poller) == 0);
    poller.change(one.ends[0], one, EPOLLIN | EPOLLOUT);
    CHECK(poll(poller) == 1);
    CHECK(one.events.back() == (EPOLLIN | EPOLLOUT));
    poller.change(one.ends[0], one, EPOLLOUT);
    CHECK(poll(poller) == 1);
    CHECK(one.events.back() == EPOLLOUT);
    poller.remove(one.ends[0]);
    CHECK(poll(poller) == 0);
}

TEST_CASE("poller: a peer that went away is told even to who watches nothing") {
    Poller poller;
    Watched one;
    poller.add(one.ends[0], one, 0);
    one.peer_closes();
    CHECK(poll(poller) == 1);
    CHECK((one.events.back() & EPOLLHUP) != 0);
}

TEST_CASE("poller: a descriptor that cannot be watched is an error") {
    Poller poller;
    Watched one;
    CHECK_THROWS_AS(poller.add(-1, one, EPOLLIN), std::system_error);
}
