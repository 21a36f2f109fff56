#include "bridge/access/json_web_token.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "bridge/access/encoding.hpp"
#include "tests/unit/bridge/access/samples.hpp"

namespace spoke::bridge::test {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr WallTime kNow{1'795'374'000'000ms};  // 2026-11-22T19:00:00Z

TokenRules rules() {
    return {"spoke", "https://issuer.example", 30s};
}

std::vector<VerificationKey> const& keys() {
    static auto const kKeys = parse_key_set(kKeySet);
    return kKeys;
}

std::string signed_token(std::string_view header, std::string_view claims) {
    auto text = base64url(header) + "." + base64url(claims);
    return text + "." + base64url(bytes_of(hmac_sha256(kSecret, text)));
}

std::string with_claims(std::string_view claims) {
    return signed_token(R"({"alg":"HS256"})", claims);
}

AccessError error_of(std::string_view token, TokenRules const& given = {}, WallTime now = kNow) {
    auto result = verify_token(token, keys(), given, now);
    REQUIRE(std::holds_alternative<AccessError>(result));
    return std::get<AccessError>(result);
}

Token token_of(std::string_view token, TokenRules const& given = {}, WallTime now = kNow) {
    auto result = verify_token(token, keys(), given, now);
    REQUIRE(std::holds_alternative<Token>(result));
    return std::get<Token>(result);
}

}  // namespace

TEST_CASE("token: each algorithm, made elsewhere, says who and what", "[bridge][access]") {
    auto token = GENERATE(kHs256Token, kRs256Token, kEs256Token);
    auto read = token_of(token, rules());
    CHECK(read.identity.by == "user:7777");
    CHECK(read.identity.scopes.devices_read);
    CHECK_FALSE(read.identity.scopes.devices_write);
    CHECK(read.identity.scopes.may_command("unlock"));
    CHECK_FALSE(read.identity.scopes.may_command("lock"));
    CHECK(read.identity.may_see("b42"));
    CHECK_FALSE(read.identity.may_see("b4"));
}

TEST_CASE("token: one changed character anywhere is refused", "[bridge][access]") {
    auto token = GENERATE(kHs256Token, kRs256Token, kEs256Token);
    for (std::size_t i = 0; i < token.size(); ++i) {
        std::string changed{token};
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        INFO(i);
        auto result = verify_token(changed, keys(), rules(), kNow);
        CHECK(std::holds_alternative<AccessError>(result));
    }
}

TEST_CASE("token: cut anywhere it is refused", "[bridge][access]") {
    auto token = GENERATE(kHs256Token, kRs256Token, kEs256Token);
    for (std::size_t size = 0; size < token.size(); ++size) {
        INFO(size);
        auto result = verify_token(token.substr(0, size), keys(), rules(), kNow);
        CHECK(std::holds_alternative<AccessError>(result));
    }
}

TEST_CASE("token: the key decides the algorithm", "[bridge][access]") {
    CHECK(error_of(kConfusedToken) == AccessError::bad_signature);
    std::string claims = R"({"sub":"7777","exp":1795377600})";
    for (auto const* header :
         {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":""})", R"({"alg":"HS512"})",
          R"({"alg":1})", R"({})", R"({"alg":"hs256"})", R"({"alg":"RS256"})", R"({"alg":"ES256"})",
          R"({"alg":"HS256","kid":"e1"})"}) {
        INFO(header);
        CHECK(error_of(signed_token(header, claims)) == AccessError::bad_signature);
    }
    auto unsigned_token = base64url(R"({"alg":"none"})") + "." + base64url(claims) + ".";
    CHECK(error_of(unsigned_token) == AccessError::bad_signature);
    CHECK(error_of(signed_token(R"({"alg":"HS256","crit":["b64"],"b64":false})", claims)) ==
          AccessError::malformed);
    CHECK(error_of(signed_token(R"({"alg":"HS256","alg":"none"})", claims)) ==
          AccessError::bad_signature);
    CHECK(token_of(signed_token(R"({"alg":"HS256","kid":"h1"})", claims)).identity.by ==
          "user:7777");
}

TEST_CASE("token: of its time", "[bridge][access]") {
    WallTime begin{1'795'370'400'000ms};
    WallTime end{1'795'377'600'000ms};
    CHECK(error_of(kHs256Token, rules(), begin - 30s - 1ms) == AccessError::not_yet);
    CHECK(token_of(kHs256Token, rules(), begin - 30s).ends == end + 30s);
    CHECK(token_of(kHs256Token, rules(), end + 30s - 1ms).ends == end + 30s);
    CHECK(error_of(kHs256Token, rules(), end + 30s) == AccessError::expired);
    auto strict = rules();
    strict.leeway = 0s;
    CHECK(error_of(kHs256Token, strict, end) == AccessError::expired);
}

TEST_CASE("token: of its audience and issuer", "[bridge][access]") {
    CHECK(error_of(kHs256Token, {"spokes", {}, {}}) == AccessError::wrong_audience);
    CHECK(error_of(kHs256Token, {{}, "https://issuer.exampl", {}}) == AccessError::wrong_issuer);
    auto plain = with_claims(R"({"sub":"x","exp":1795377600})");
    CHECK(error_of(plain, {"spoke", {}, {}}) == AccessError::wrong_audience);
    CHECK(error_of(plain, {{}, "i", {}}) == AccessError::wrong_issuer);
    auto one = with_claims(R"({"sub":"x","exp":1795377600,"aud":"spoke"})");
    CHECK(token_of(one, {"spoke", {}, {}}).identity.by == "user:x");
}

TEST_CASE("token: claims in a wrong form are refused", "[bridge][access]") {
    for (auto const* claims :
         {R"([])", R"({"sub":"x"})", R"({"exp":1795377600})", R"({"sub":7,"exp":1795377600})",
          R"({"sub":"","exp":1795377600})", R"({"sub":"a\nb","exp":1795377600})",
          R"({"sub":"x","exp":"1795377600"})", R"({"sub":"x","exp":-1})",
          R"({"sub":"x","exp":1e300})", R"({"sub":"x","exp":1795377600,"nbf":null})",
          R"({"sub":"x","exp":1795377600,"scope":7})",
          R"({"sub":"x","exp":1795377600,"scope":["audit",7]})",
          R"({"sub":"x","exp":1795377600,"dev":"b42"})",
          R"({"sub":"x","exp":1795377600,"dev":[42]})"}) {
        INFO(claims);
        CHECK(error_of(with_claims(claims)) == AccessError::bad_claims);
    }
    auto long_name = json::object{{"sub", std::string(129, 'a')}, {"exp", 1'795'377'600}};
    CHECK(error_of(with_claims(json::serialize(long_name))) == AccessError::bad_claims);
    long_name["sub"] = std::string(128, 'a');
    CHECK(token_of(with_claims(json::serialize(long_name))).identity.scopes == Scopes{});
}

TEST_CASE("token: no device at all is not every device", "[bridge][access]") {
    auto nobody = token_of(with_claims(R"({"sub":"x","exp":1795377600,"dev":[]})"));
    CHECK_FALSE(nobody.identity.may_see("b42"));
    auto anybody = token_of(with_claims(R"({"sub":"x","exp":1795377600})"));
    CHECK(anybody.identity.may_see("b42"));
}

TEST_CASE("token: scopes as an array may hold blanks", "[bridge][access]") {
    auto read = token_of(
        with_claims(R"({"sub":"x","exp":1795377600,"scope":["publish:a b/#","command:*"]})"));
    CHECK(read.identity.scopes.may_publish("a b/c"));
    CHECK(read.identity.scopes.may_command("reboot"));
}

TEST_CASE("token: ours can be read by ourselves", "[bridge][access]") {
    TokenWish wish{"me", "audit", {"b2", "b1"}, "spoke", "https://issuer.example", 60s};
    auto read = token_of(make_token(wish, kSecret, kNow), rules());
    CHECK(read.identity.by == "user:me");
    CHECK(read.identity.scopes.audit);
    CHECK(read.identity.devices == std::vector<std::string>{"b1", "b2"});
    CHECK(read.ends == kNow + 60s + 30s);
}

TEST_CASE("key set: what is passed over and what is refused", "[bridge][access]") {
    CHECK(keys().size() == 3);
    CHECK_THROWS_WITH(parse_key_set(kWeakKeySet), "an RSA key has fewer than 2048 bits");
    for (auto const* text :
         {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[]})", R"({"keys":[7]})",
          R"({"keys":[{"kty":"oct","k":"c2hvcnQ"}]})", R"({"keys":[{"kty":"oct","k":"=="}]})",
          R"({"keys":[{"kty":"oct"}]})", R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})",
          R"({"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]})",
          R"({"keys":[{"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA"}]})"}) {
        INFO(text);
        CHECK_THROWS_AS(parse_key_set(text), std::invalid_argument);
    }
    std::string x(32, '\1');  // no point of the curve
    CHECK_THROWS_AS(VerificationKey::es256(x, x, {}), std::invalid_argument);
}

TEST_CASE("secret file: its first line, of 32 bytes at least", "[bridge][access]") {
    CHECK_THROWS_AS(parse_secret(std::string(31, 'x') + "\nmore"), std::invalid_argument);
    auto key = parse_secret(std::string{kSecret} + "\r\n");
    auto text = std::string_view{"abc"};
    CHECK(key.verifies(text, bytes_of(hmac_sha256(kSecret, text))));
}

}  // namespace spoke::bridge::test
