#include "protocol/base/base64.hpp"

#include <catch2/catch.hpp>

using namespace spoke;

TEST_CASE("Base64: the examples of RFC 4648", "[base]") {
    struct Case {
        char const* bytes;
        char const* text;
        char const* bare;
    };
    for (auto [bytes, text, bare] :
         {Case{"", "", ""}, Case{"f", "Zg==", "Zg"}, Case{"fo", "Zm8=", "Zm8"},
          Case{"foo", "Zm9v", "Zm9v"}, Case{"foob", "Zm9vYg==", "Zm9vYg"},
          Case{"fooba", "Zm9vYmE=", "Zm9vYmE"}, Case{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
          Case{"\xFB\xFF\xFE", "+//+", "+//+"}}) {
        CHECK(to_base64(bytes) == text);
        CHECK(from_base64(text) == bytes);
        CHECK(to_base64(bytes, Base64Padding::without) == bare);
        CHECK(from_base64(bare, Base64Padding::without) == bytes);
    }
}

TEST_CASE("Base64: every byte comes back, and nothing else than its text is taken", "[base]") {
    for (auto value = 0; value < 256; ++value) {
        std::string bytes(4, static_cast<char>(value));
        CHECK(from_base64(to_base64(bytes)) == bytes);
    }
    for (auto const* bad : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm8==", "====", "=",
                            "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm-v", "Zm_v", "Zg==="}) {
        CAPTURE(bad);
        CHECK_FALSE(from_base64(bad).has_value());
    }
    for (auto const* bad : {"Z", "Zg==", "Zh", "Zm8=", "Zm9vZ"}) {
        CAPTURE(bad);
        CHECK_FALSE(from_base64(bad, Base64Padding::without).has_value());
    }
}
