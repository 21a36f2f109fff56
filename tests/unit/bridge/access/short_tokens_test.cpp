#include "bridge/access/short_tokens.hpp"

#include <catch2/catch.hpp>

namespace spoke::bridge {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{1'795'374'000'000ms};

ShortTokens make_tokens(std::size_t tokens_max) {
    return {tokens_max, [next = std::uint64_t{0}]() mutable { return ++next; }};
}

TEST_CASE("a short-lived token: is good once", "[access]") {
    auto tokens = make_tokens(10);
    auto token = tokens.make({"user:7777", {}}, kNow + 60s, kNow);
    REQUIRE(token);
    CHECK(token->starts_with("st_"));
    CHECK(token->size() == 46);
    CHECK_FALSE(tokens.use(*token + "x", kNow));
    auto who = tokens.use(*token, kNow + 59'999ms);
    REQUIRE(who);
    CHECK(who->by == "user:7777");
    CHECK_FALSE(tokens.use(*token, kNow));
}

TEST_CASE("a short-lived token: ends", "[access]") {
    auto tokens = make_tokens(10);
    auto token = tokens.make({"user:7777", {}}, kNow + 60s, kNow);
    CHECK_FALSE(tokens.use(*token, kNow + 60s));
    CHECK(tokens.size() == 0);
}

TEST_CASE("short-lived tokens: are bounded, and those that have ended make room", "[access]") {
    auto tokens = make_tokens(2);
    CHECK(tokens.make({"a", {}}, kNow + 60s, kNow));
    CHECK(tokens.make({"a", {}}, kNow + 30s, kNow));
    CHECK_FALSE(tokens.make({"a", {}}, kNow + 60s, kNow));
    CHECK(tokens.make({"a", {}}, kNow + 90s, kNow + 30s));
    tokens.clear();
    CHECK(tokens.size() == 0);
}

TEST_CASE("scopes: of inboxes", "[access]") {
    Scopes scopes;
    CHECK(add_scope("inbox:7777", scopes));
    CHECK_FALSE(scopes.may_read_inbox("8888"));
    CHECK(scopes.may_read_inbox("7777"));
    CHECK_FALSE(scopes.inbox_write);
    CHECK(add_scope("inbox:write", scopes));
    CHECK(scopes.inbox_write);
    CHECK_FALSE(scopes.may_read_inbox("write"));
    CHECK(add_scope("inbox:*", scopes));
    CHECK(scopes.may_read_inbox("8888"));
    for (auto const* wrong : {"inbox:", "inbox:a/b", "inbox:+", "inbox:#"}) {
        CHECK_FALSE(add_scope(wrong, scopes));
    }
}

TEST_CASE("scopes: a part of them is included, and nothing else", "[access]") {
    auto of = [](std::vector<std::string> const& texts) {
        Scopes out;
        for (auto const& text : texts) REQUIRE(add_scope(text, out));
        return out;
    };
    auto mine = of({"devices:read", "command:unlock", "publish:shop/#", "inbox:7777"});
    CHECK(mine.include(mine));
    CHECK(mine.include(of({})));
    CHECK(mine.include(of({"publish:shop/+/price", "inbox:7777"})));
    for (auto const* more :
         {"devices:write", "command:*", "command:lock", "publish:#", "publish:+/a", "inbox:8888",
          "inbox:*", "inbox:write", "audit", "admin"}) {
        CHECK_FALSE(mine.include(of({more})));
    }
    CHECK_FALSE(mine.include(Scopes::all()));
    CHECK(Scopes::all().include(Scopes::all()));
    CHECK(Scopes::all().include(mine));
}

}  // namespace
}  // namespace spoke::bridge
