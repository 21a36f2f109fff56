#include "bridge/hook/hook_url.hpp"

#include <arpa/inet.h>

#include <array>
#include <catch2/catch.hpp>

#include "bridge/hook/hook_schedule.hpp"
#include "bridge/hook/hook_signature.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

bool is_public(char const* text) {
    std::array<std::uint8_t, 16> bytes{};
    auto is_v6 = std::string_view{text}.find(':') != std::string_view::npos;
    REQUIRE(inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes.data()) == 1);
    return is_public_address(std::span{bytes}.first(is_v6 ? 16 : 4));
}

}  // namespace

TEST_CASE("hook url: what can be asked for", "[bridge][hook]") {
    auto url = parse_hook_url("https://app.example");
    REQUIRE(url);
    CHECK(url->is_tls);
    CHECK(url->host == "app.example");
    CHECK(url->port == 443);
    CHECK(url->target == "/");
    CHECK(url->authority() == "app.example");
    url = parse_hook_url("http://[fd00::1]:8080/in?a=b");
    REQUIRE(url);
    CHECK_FALSE(url->is_tls);
    CHECK(url->host == "fd00::1");
    CHECK(url->target == "/in?a=b");
    CHECK(url->authority() == "[fd00::1]:8080");
    CHECK(parse_hook_url("http://a?b=c")->target == "/?b=c");
    CHECK(parse_hook_url("http://a:80/")->authority() == "a");
}

TEST_CASE("hook url: what cannot", "[bridge][hook]") {
    for (auto const* text :
         {"", "app.example", "ftp://a", "https://", "https:///in", "https://u:p@a/", "https://a:0/",
          "https://a:65536/", "https://a:/", "https://a:8x/", "https://a/#f", "https://a/ b",
          "https://a/\r\nX: y", "https://[::1", "https://[::1]x/", "https://[g::1]/", "HTTPS://a",
          "https://a%41/", "https://\xC3\xA4/"}) {
        INFO(text);
        CHECK_FALSE(parse_hook_url(text));
    }
    CHECK(parse_hook_url("https://a/" + std::string(2038, 'x')));
    CHECK_FALSE(parse_hook_url("https://a/" + std::string(2039, 'x')));
}

TEST_CASE("hook address: public ones alone", "[bridge][hook]") {
    for (auto const* text : {"0.0.0.0",
                             "0.1.2.3",
                             "10.0.0.1",
                             "100.64.0.1",
                             "100.127.255.255",
                             "127.0.0.1",
                             "127.255.0.1",
                             "169.254.169.254",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.0.0.8",
                             "192.0.2.1",
                             "192.168.1.1",
                             "198.18.0.1",
                             "198.19.255.255",
                             "198.51.100.1",
                             "203.0.113.1",
                             "224.0.0.1",
                             "239.1.2.3",
                             "240.0.0.1",
                             "255.255.255.255",
                             "::",
                             "::1",
                             "::ffff:127.0.0.1",
                             "::ffff:10.0.0.1",
                             "::127.0.0.1",
                             "64:ff9b::10.0.0.1",
                             "64:ff9b:1::8.8.8.8",
                             "fe80::1",
                             "fec0::1",
                             "fc00::1",
                             "fd12::1",
                             "ff02::1",
                             "2001::1",
                             "2001:db8::1",
                             "2002:7f00:1::",
                             "2002:0a00:1::1",
                             "100::1",
                             "3fff::1"}) {
        INFO(text);
        CHECK_FALSE(is_public(text));
    }
    for (auto const* text :
         {"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
          "169.253.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1", "198.17.0.1", "198.20.0.1",
          "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:0808:0808::1",
          "2606:4700::1111", "2a00:1450::1", "2001:4860::8888"}) {
        INFO(text);
        CHECK(is_public(text));
    }
    CHECK_FALSE(is_public_address(std::array<std::uint8_t, 3>{8, 8, 8}));
}

TEST_CASE("hook signature: as Standard Webhooks has it", "[bridge][hook]") {
    // From the examples of its specification's libraries: the same secret, id, time and body.
    CHECK(hook_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
                         1'614'265'330, R"({"test": 2432232314})") ==
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    CHECK(is_hook_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    CHECK(is_hook_secret(make_hook_secret(counting_random())));
    for (auto const* text :
         {"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ",
          "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8I"}) {
        CHECK_FALSE(is_hook_secret(text));
    }
}

TEST_CASE("hook schedule: Retry-After in both forms", "[bridge][hook]") {
    auto now = FakeClock{}.now.wall;
    CHECK(parse_retry_after("0", now) == now);
    CHECK(parse_retry_after("120", now) == now + 2min);
    CHECK(parse_retry_after("86401", now) == now + 24h);
    CHECK(parse_retry_after("Sun, 22 Nov 2026 19:00:30 GMT", now) == now + 30s);
    CHECK(parse_retry_after("Fri, 22 Nov 2030 19:00:30 GMT", now) == now + 24h);
    for (auto const* text :
         {"", "-1", "1.5", "soon", "99999999999", "Sun, 22 Nxx 2026 19:00:30 GMT",
          "Sun, 32 Nov 2026 19:00:30 GMT", "Sunday, 22-Nov-26 19:00:30 GMT"}) {
        CHECK_FALSE(parse_retry_after(text, now));
    }
}

}  // namespace spoke::bridge::test
