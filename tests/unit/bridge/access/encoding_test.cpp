#include "bridge/access/encoding.hpp"

#include <catch2/catch.hpp>

namespace spoke::bridge::test {

TEST_CASE("base64url: there and back, one spelling only", "[bridge][access]") {
    CHECK(base64url("") == "");
    CHECK(base64url("f") == "Zg");
    CHECK(base64url("fo") == "Zm8");
    CHECK(base64url("foo") == "Zm9v");
    CHECK(base64url("\xFB\xFF") == "-_8");
    for (std::string_view text : {"", "f", "fo", "foo", "foob", "\xFF\xFE\xFD"}) {
        CHECK(from_base64url(base64url(text)) == text);
    }
    for (std::string_view bad : {"Z", "Zg==", "Zh", "Zm9", "+/8", "Zg\n", "Zm9vY"}) {
        INFO(bad);
        CHECK_FALSE(from_base64url(bad));
    }
}

TEST_CASE("hashes: known answers", "[bridge][access]") {
    CHECK(lower_hex(sha256("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231, test case 2
    CHECK(lower_hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(sha256_from_hex(lower_hex(sha256("abc"))) == sha256("abc"));
    CHECK_FALSE(sha256_from_hex("ba78"));
    CHECK_FALSE(sha256_from_hex(std::string(64, 'g')));
}

TEST_CASE("comparison: equal is equal", "[bridge][access]") {
    CHECK(equal_in_constant_time("abc", "abc"));
    CHECK_FALSE(equal_in_constant_time("abc", "abd"));
    CHECK_FALSE(equal_in_constant_time("abc", "ab"));
}

}  // namespace spoke::bridge::test
