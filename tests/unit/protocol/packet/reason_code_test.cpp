#include "protocol/packet/reason_code.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "protocol/packet/reason_table.hpp"

namespace spoke::mqtt {

TEST_CASE("Reason codes: each of the table has a name of its own, other bytes have none") {
    std::set<std::string_view> names;
    for (auto const& row : kReasonTable) names.insert(name_of(row.code));
    CHECK(names.size() == 43);
    CHECK_FALSE(names.contains("unknown reason code"));
    auto unknown = 0;
    for (auto byte = 0; byte < 256; ++byte) {
        unknown += name_of(ReasonCode(byte)) == "unknown reason code";
    }
    CHECK(unknown == 256 - 43);
    CHECK(name_of(ReasonCode::packet_too_large) == "packet too large");
    CHECK(name_of(ReasonCode{0x00}) == "success");
}

TEST_CASE("Reason codes: from 0x80 up they are errors") {
    CHECK_FALSE(is_error(ReasonCode{0x00}));
    CHECK_FALSE(is_error(ReasonCode{0x7F}));
    CHECK(is_error(ReasonCode{0x80}));
    CHECK(is_error(ReasonCode{0xFF}));
}

TEST_CASE("Return codes of 3.1.1: 0 to 5 and back, and none for a reason that does not fit",
          "[v3.1.1][MQTT-3.2.2-6]") {
    for (std::uint8_t code = 0; code <= 5; ++code) {
        auto reason = reason_of_return_code(code);
        REQUIRE(reason);
        CHECK(connect_return_code(*reason) == code);
    }
    for (auto code = 6; code < 256; ++code) {
        CHECK_FALSE(reason_of_return_code(static_cast<std::uint8_t>(code)));
    }
    std::string mapped;
    for (auto byte = 0; byte < 256; ++byte) {
        if (auto code = connect_return_code(ReasonCode(byte))) {
            CHECK(*code <= 5);
            char text[8];
            std::snprintf(text, sizeof text, "%02X:%d ", byte, *code);
            mapped += text;
        }
    }
    CHECK(mapped == "00:0 84:1 85:2 86:4 87:5 88:3 89:3 8A:5 8B:3 97:3 9C:3 9D:3 9F:3 ");
}

}  // namespace spoke::mqtt
