#include "bridge/command/device_message.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

TEST_CASE("birth: members of the contract are read, others passed over", "[bridge][message]") {
    auto birth = parse_birth(
        R"({"on":true,"boot":7,"up":1830,"fw":"2.4.1","hw":"OC33","proto":5,"iccid":"8986","jrn":8})");
    REQUIRE(birth);
    CHECK(birth->on);
    CHECK(birth->boot == 7);
    CHECK(birth->up == 1830);
    CHECK(birth->fw == "2.4.1");
    CHECK(birth->hw == "OC33");
    CHECK_FALSE(birth->wake);

    auto asleep = parse_birth(R"({"on":false,"wake":1763838000,"boot":7,"up":null})");
    REQUIRE(asleep);
    CHECK_FALSE(asleep->on);
    CHECK(asleep->wake == WallTime{1'763'838'000'000ms});
    CHECK_FALSE(asleep->up);
}

TEST_CASE("device messages: what is not of the contract gives nothing", "[bridge][message]") {
    for (auto const* text : {"", "x", "[]", "{}", R"({"on":1})", R"({"on":true,"boot":-1})",
                             R"({"on":true,"boot":1.5})", R"({"on":true,"boot":"7"})",
                             R"({"on":true,"fw":2})", R"({"on":true} x)", "{\"on\":true"}) {
        INFO(text);
        CHECK_FALSE(parse_birth(text).has_value());
    }
    for (auto const* text :
         {"{}", R"({"id":"c_1","r":"ok"})", R"({"id":"c_00000000000000000000000001"})",
          R"({"id":"c_00000000000000000000000001","r":"perhaps"})",
          R"({"id":"c_00000000000000000000000001","r":"ok","took":"fast"})",
          R"({"id":7,"r":"ok"})"}) {
        INFO(text);
        CHECK_FALSE(parse_answer(text).has_value());
    }
    CHECK_FALSE(parse_state("[1]").has_value());
    CHECK_FALSE(parse_state(R"({"boot":"x"})").has_value());
    CHECK_FALSE(parse_state(std::string(1000, '[') + std::string(1000, ']')).has_value());
}

TEST_CASE("answer: the document loses what the command says itself", "[bridge][message]") {
    auto answer = parse_answer(
        R"({"id":"c_00000000000000000000000001","n":118,"r":"fail","why":"jam","took":612,"lock":"jammed","batt":{"v":3.96}})");
    REQUIRE(answer);
    CHECK(answer->n == 118);
    CHECK(answer->verdict == Verdict::fail);
    CHECK(answer->why == "jam");
    CHECK(answer->took == 612ms);
    CHECK(answer->document ==
          R"({"r":"fail","why":"jam","lock":"jammed","batt":{"v":3.96},"took_ms":612})");
}

TEST_CASE("state: snapshot, last numbers and journal", "[bridge][message]") {
    auto state = parse_state(
        R"({"at":1763838000700,"boot":7,"up":905130,"last_n":{"lock":118,"info":97,"x":"y"},"speed":0.5,)"
        R"("jrn":[["c_00000000000000000000000001","ok",118],["c_00000000000000000000000002","refused:late",117],["bad"],7]})");
    REQUIRE(state);
    CHECK(state->at == WallTime{1'763'838'000'700ms});
    CHECK(state->boot == 7);
    CHECK(state->up == 905130);
    REQUIRE(state->last_n.size() == 2);
    CHECK(state->last_n[0] == std::pair<std::string, std::uint64_t>{"lock", 118});
    REQUIRE(state->receipts.size() == 2);
    CHECK(state->receipts[0].verdict == Verdict::ok);
    CHECK(state->receipts[0].document == R"({"r":"ok"})");
    CHECK(state->receipts[1].verdict == Verdict::refused);
    CHECK(state->receipts[1].why == "late");
    CHECK(state->receipts[1].document == R"({"r":"refused","why":"late"})");
    CHECK(state->document.find("\"speed\":0.5") != std::string::npos);
}

TEST_CASE("order: complete as it stands, in the contract's words", "[bridge][message]") {
    Command command;
    command.id = *CommandId::parse("c_00000000000000000000000001");
    command.n = 118;
    command.request = unlock();
    command.request.args = R"({"ride":"r_9f31","volume":0.5})";
    command.request.condition = R"({"lock":"locked"})";
    command.deadline = WallTime{1'763'838'008'000ms};
    command.boot = 7;
    command.exp_up = 912'300;
    CHECK(
        encode_order(command, 7790ms) ==
        R"({"id":"c_00000000000000000000000001","n":118,"do":"unlock","args":{"ride":"r_9f31","volume":0.5},)"
        R"("ttl":7790,"exp":1763838008000,"boot":7,"exp_up":912300,"if":{"lock":"locked"}})");
    command.request.args.clear();
    command.request.condition.clear();
    command.boot.reset();
    command.exp_up.reset();
    command.caller.trace = "00-a-b-01";
    CHECK(
        encode_order(command, 1ms) ==
        R"({"id":"c_00000000000000000000000001","n":118,"do":"unlock","ttl":1,"exp":1763838008000,"tp":"00-a-b-01"})");
}

TEST_CASE("precondition: only a contradiction counts", "[bridge][message]") {
    struct Row {
        char const* condition;
        bool holds;
    };
    auto const* state = R"({"lock":"locked","speed":3,"batt":{"pct":80}})";
    auto row = GENERATE(Row{R"({"lock":"locked"})", true}, Row{R"({"lock":"unlocked"})", false},
                        Row{R"({"speed_max":3})", true}, Row{R"({"speed_max":2.5})", false},
                        Row{R"({"speed_min":3})", true}, Row{R"({"speed_min":4})", false},
                        Row{R"({"n":41})", true}, Row{R"({"n":40})", false},
                        Row{R"({"door":"shut"})", true}, Row{R"({"door_max":3})", true},
                        Row{R"({"batt":{"pct":80}})", true}, Row{R"({"batt":{"pct":81}})", false},
                        Row{R"({"lock":"locked","speed_max":1})", false}, Row{"{}", true});
    INFO(row.condition);
    CHECK(may_hold(row.condition, state, 41) == row.holds);
    CHECK(may_hold(R"({"lock":"locked"})", "", 0));
}

}  // namespace spoke::bridge::test
