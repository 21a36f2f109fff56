#include "bridge/api/target.hpp"

#include <catch2/catch.hpp>

namespace spoke::bridge::test {

TEST_CASE("request target: path and query are split, then decoded", "[bridge][http]") {
    auto target = parse_target("/v1/devices/b%2F42?wait=8&a=b+c%26&flag&=x&");
    REQUIRE(target);
    CHECK(target->segments == std::vector<std::string>{"v1", "devices", "b/42"});
    CHECK(target->parameter("wait") == "8");
    CHECK(target->parameter("a") == "b c&");
    CHECK(target->parameter("flag") == "");
    CHECK_FALSE(target->parameter("none"));
    CHECK(parse_target("/")->segments == std::vector<std::string>{""});
    CHECK(parse_target("/a//b/")->segments == std::vector<std::string>{"a", "", "b", ""});
    CHECK(parse_target("/a+b")->segments == std::vector<std::string>{"a+b"});
}

TEST_CASE("request target: what cannot be decoded is refused", "[bridge][http]") {
    for (auto const* text :
         {"", "*", "http://x/", "/%", "/%4", "/%zz", "/%ff", "/%00", "/?a=%", "/?%ed%a0%80"}) {
        INFO(text);
        CHECK_FALSE(parse_target(text).has_value());
    }
}

TEST_CASE("percent encoding leaves what is unreserved", "[bridge][http]") {
    CHECK(percent_encoded("aZ0-._~ /\xC3\xA9") == "aZ0-._~%20%2F%C3%A9");
}

}  // namespace spoke::bridge::test
