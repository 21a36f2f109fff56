#include "bridge/access/access.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "tests/unit/bridge/access/samples.hpp"

namespace spoke::bridge::test {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{1'795'374'000'000ms};  // 2026-11-22T19:00:00Z

std::string const& ops_key() {
    static auto const kKey = make_api_key(sha256("ops"));
    return kKey;
}

KeyMaterial material() {
    KeyMaterial out;
    out.token_keys = parse_key_set(kKeySet);
    out.api_keys = parse_api_keys(
        api_key_line("ops", ops_key(), kNow + 1h, {"devices:read", "command:*"}) + "\n");
    return out;
}

AccessError error_of(Access& access, std::string_view header, WallTime now = kNow) {
    auto result = access.identify(header, now);
    REQUIRE(std::holds_alternative<AccessError>(result));
    return std::get<AccessError>(result);
}

Identity identity_of(Access& access, std::string_view header, WallTime now = kNow) {
    auto result = access.identify(header, now);
    REQUIRE(std::holds_alternative<Identity>(result));
    return std::get<Identity>(result);
}

}  // namespace

TEST_CASE("access: without a key everybody may do everything", "[bridge][access]") {
    Access access{{}, {}};
    CHECK(access.is_open());
    auto who = identity_of(access, "Bearer nonsense");
    CHECK(who.by == "anonymous");
    CHECK(who.scopes.may_command("unlock"));
    CHECK(who.scopes.may_publish("$any/thing"));
    CHECK(who.may_see("b42"));
    CHECK_FALSE(who.is_limited);
}

TEST_CASE("access: with a key nobody comes in without one", "[bridge][access]") {
    Access access{{}, material()};
    CHECK_FALSE(access.is_open());
    CHECK(error_of(access, "") == AccessError::none_given);
    CHECK(error_of(access, "Basic dXNlcjpwYXNz") == AccessError::malformed);
    CHECK(error_of(access, "Bearer") == AccessError::malformed);
    CHECK(error_of(access, "Bearer x") == AccessError::malformed);
    CHECK(error_of(access, "Bearer " + make_api_key(sha256("other"))) == AccessError::unknown_key);
    CHECK(error_of(access, ops_key()) == AccessError::malformed);
}

TEST_CASE("access: a key file without a key lets nobody in", "[bridge][access]") {
    KeyMaterial none;
    none.is_wanted = true;
    Access access{{}, none};
    CHECK_FALSE(access.is_open());
    CHECK(error_of(access, "") == AccessError::none_given);
}

TEST_CASE("access: an API key, until its end", "[bridge][access]") {
    Access access{{}, material()};
    auto who = identity_of(access, "bearer  " + ops_key() + " ");
    CHECK(who.by == "key:ops");
    CHECK(who.scopes.devices_read);
    CHECK_FALSE(who.scopes.audit);
    CHECK(identity_of(access, "Bearer " + ops_key(), kNow + 1h - 1ms).by == "key:ops");
    CHECK(error_of(access, "Bearer " + ops_key(), kNow + 1h) == AccessError::expired);
}

TEST_CASE("access: a token that was let in is looked at again each time", "[bridge][access]") {
    Access access{{}, material()};
    auto header = "Bearer " + std::string{kEs256Token};
    CHECK(identity_of(access, header).by == "user:7777");
    CHECK(identity_of(access, header).by == "user:7777");
    CHECK(error_of(access, header, kNow + 2h) == AccessError::expired);
    CHECK(error_of(access, header, kNow - 2h) == AccessError::not_yet);
    KeyMaterial other;
    other.token_keys = {parse_secret(std::string(32, 'x'))};
    access.replace(std::move(other));
    CHECK(error_of(access, header) == AccessError::bad_signature);
}

TEST_CASE("scopes: a filter must cover the topic", "[bridge][access]") {
    Scopes scopes;
    CHECK(add_scope("publish:shop/+/price", scopes));
    CHECK(add_scope("publish:lamp/#", scopes));
    CHECK(scopes.may_publish("shop/1/price"));
    CHECK(scopes.may_publish("lamp"));
    CHECK(scopes.may_publish("lamp/1/on"));
    CHECK_FALSE(scopes.may_publish("shop/1/2/price"));
    CHECK_FALSE(scopes.may_publish("lamps"));
    Scopes any;
    CHECK(add_scope("publish:#", any));
    CHECK(any.may_publish("d/b42/cmd"));
    CHECK_FALSE(any.may_publish("$SYS/x"));
}

TEST_CASE("scopes: what there is not", "[bridge][access]") {
    Scopes scopes;
    for (auto const* text : {"", "devices", "devices:", "command:", "command:un lock", "command:*x",
                             "publish:", "publish:a/#/b", "publish:a+", "Audit", "admin:x"}) {
        INFO(text);
        CHECK_FALSE(add_scope(text, scopes));
    }
    CHECK(scopes == Scopes{});
    CHECK(add_scope("command:" + std::string(64, 'a'), scopes));
    CHECK_FALSE(add_scope("command:" + std::string(65, 'a'), scopes));
}

TEST_CASE("key file: lines, remarks, and what is wrong in which line", "[bridge][access]") {
    auto hash = lower_hex(sha256("k"));
    auto keys =
        parse_api_keys("# remark\n\n  a " + hash + "\tnever audit\r\nb " + hash +
                       " 2027-01-31 devices:read admin\nc " + hash + " 2027-01-31T12:30:01Z audit");
    REQUIRE(keys.size() == 3);
    CHECK(keys[0].name == "a");
    CHECK_FALSE(keys[0].ends);
    CHECK(keys[1].scopes.admin);
    CHECK(*keys[2].ends - *keys[1].ends == 12h + 30min + 1s);
    auto check = [](std::string const& text, std::string const& what) {
        CHECK_THROWS_WITH(parse_api_keys(text), Catch::Contains(what));
    };
    check("a " + hash + " never", "line 1: it needs NAME HASH END SCOPE");
    check("\na 123 never audit", "line 2: the hash");
    check("a/b " + hash + " never audit", "the name must be");
    check("a " + hash + " tomorrow audit", "the end");
    check("a " + hash + " 2027-02-30 audit", "the end");
    check("a " + hash + " 2027-02-03T24:00:00Z audit", "the end");
    check("a " + hash + " never audits", "there is no scope \"audits\"");
    check("a " + hash + " never audit\na " + hash + " never audit", "line 2: the name a");
}

}  // namespace spoke::bridge::test
