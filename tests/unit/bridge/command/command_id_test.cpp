#include "bridge/command/command_id.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

TEST_CASE("command id: text and bytes say the same", "[bridge][command_id]") {
    auto random = counting_random();
    for (auto ms : {0LL, 1LL, 1'795'374'000'000LL, (1LL << 48) - 1}) {
        auto id = CommandId::make(WallTime{std::chrono::milliseconds{ms}}, random);
        CHECK(id.text().size() == 28);
        CHECK(CommandId::parse(id.text()) == id);
    }
    std::array<std::byte, 16> ones;
    ones.fill(std::byte{0xFF});
    CHECK(CommandId{ones}.text() == "c_7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    CHECK(CommandId{}.text() == "c_00000000000000000000000000");
    CHECK(CommandId::parse("c_7zzzzzzzzzzzzzzzzzzzzzzzzz") == CommandId{ones});
}

TEST_CASE("command id: a later one is greater, as value and as text", "[bridge][command_id]") {
    auto random = counting_random();
    auto early = CommandId::make(WallTime{1000ms}, random);
    auto late = CommandId::make(WallTime{1001ms}, random);
    CHECK(early < late);
    CHECK(early.text() < late.text());
}

TEST_CASE("command id: what is no id is refused", "[bridge][command_id]") {
    for (auto const* text :
         {"", "c_", "c_0000000000000000000000000", "c_000000000000000000000000000",
          "x_00000000000000000000000000", "c_0000000000000000000000000U",
          "c_80000000000000000000000000", "c_ZZZZZZZZZZZZZZZZZZZZZZZZZZ"}) {
        INFO(text);
        CHECK_FALSE(CommandId::parse(text).has_value());
    }
}

}  // namespace spoke::bridge::test
