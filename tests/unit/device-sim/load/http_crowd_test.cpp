#include "device-sim/load/http_crowd.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace spoke::sim::load::test {

TEST_CASE("crowd: markers are counted wherever the bytes are cut", "[crowd]") {
    std::string_view text = "data: \"~bench 1\"\n\n~~bench~ben~bench";
    MarkerCount whole;
    CHECK(whole.feed(text) == 3);
    MarkerCount bytes;
    std::uint32_t count = 0;
    for (auto c : text) count += bytes.feed({&c, 1});
    CHECK(count == 3);
    CHECK(bytes.feed("ench") == 0);
}

TEST_CASE("crowd: a head ends at its empty line, and what follows is body", "[crowd]") {
    HeadReader head;
    CHECK(head.feed("HTTP/1.1 304 Not Modified\r\nETag: x\r") == 35);
    CHECK_FALSE(head.is_whole());
    CHECK(head.status() == 304);
    CHECK(head.feed("\n\r\nHTTP") == 3);
    CHECK(head.is_whole());
    head.begin_anew();
    CHECK_FALSE(head.is_whole());
    for (auto c : std::string_view{"HTTP/1.1 200 OK\r\n\r\n"}) head.feed({&c, 1});
    CHECK(head.is_whole());
    CHECK(head.status() == 200);
}

}  // namespace spoke::sim::load::test
