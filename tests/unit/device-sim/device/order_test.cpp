#include "device-sim/device/order.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace spoke;
using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

Order order_of(std::string const& text) {
    auto parsed = parse_order(as_bytes(text));
    REQUIRE(std::holds_alternative<Order>(parsed));
    return std::get<Order>(std::move(parsed));
}

/// The verb and whatever follows it, in an order that is sound but for that.
std::string with(std::string const& tail) {
    return R"({"id":"c1","n":1,"ttl":8000,"do":)" + tail + "}";
}

}  // namespace

TEST_CASE("Order: the contract's example is read whole", "[sim][order]") {
    auto order =
        order_of(R"({"id":"c_01KABC","n":118,"do":"unlock","args":{"ride":"r_9f31"},"ttl":7790,)"
                 R"("exp":1763838008000,"boot":7,"exp_up":912300,"if":{"lock":"locked"}})");
    CHECK(order.head.id == "c_01KABC");
    CHECK(order.head.n == 118);
    CHECK(std::get<Unlock>(order.act).ride == "r_9f31");
    CHECK(order.ttl == 7790ms);
    CHECK(order.expires_at == 1'763'838'008'000);
    CHECK(order.boot == 7U);
    CHECK(order.expires_at_up == 912'300);
    CHECK(order.condition.lock == LockState::locked);
    CHECK_FALSE(order.condition.last_n);
}

TEST_CASE("Order: every verb has its lane", "[sim][order]") {
    struct Row {
        char const* tail;
        Lane lane;
    };
    auto row = GENERATE(Row{R"("unlock")", Lane::lock}, Row{R"("lock")", Lane::lock},
                        Row{R"("locate","args":{"fresh_s":10})", Lane::info},
                        Row{R"("ring","args":{"times":2,"pattern":"beep"})", Lane::info},
                        Row{R"("state","args":{})", Lane::info},
                        Row{R"("alarm","args":{"arm":true,"sens":3})", Lane::config},
                        Row{R"("config","args":{"hb_s":30,"apn":"iot"})", Lane::config},
                        Row{R"("reboot","args":{"after_s":5})", Lane::config},
                        Row{R"("cancel","args":{"id":"c0"})", Lane::none});
    CAPTURE(row.tail);
    CHECK(lane_of(order_of(with(row.tail)).act) == row.lane);
}

TEST_CASE("Order: unknown members are ignored", "[sim][order]") {
    auto order = order_of(with(R"("ring","prio":1,"tp":"00-ab-01")"));
    CHECK(order.head.trace == "00-ab-01");
    CHECK(std::get<Ring>(order.act).times == 3);
}

TEST_CASE("Order: a verb that the lock does not have is unknown_verb, with the id to answer to",
          "[sim][order]") {
    auto parsed = parse_order(as_bytes(with(R"("explode","args":{"now":true})")));
    REQUIRE(std::holds_alternative<BadOrder>(parsed));
    CHECK(std::get<BadOrder>(parsed).why == Why::unknown_verb);
    CHECK(std::get<BadOrder>(parsed).head.id == "c1");
    CHECK(std::get<BadOrder>(parsed).head.n == 1);
}

TEST_CASE("Order: what is not understood whole is bad_args", "[sim][order]") {
    auto text =
        GENERATE(as<std::string>{}, R"({"id":"c1","n":1,"ttl":8000})",         // no verb
                 R"({"id":"c1","n":1,"ttl":8000,"do":7})",                     // a verb is text
                 R"({"id":"c1","ttl":8000,"do":"unlock"})",                    // no number
                 R"({"id":"c1","n":0,"ttl":8000,"do":"unlock"})",              // numbers start at 1
                 R"({"id":"c1","n":-1,"ttl":8000,"do":"unlock"})",             //
                 R"({"id":"c1","n":1.5,"ttl":8000,"do":"unlock"})",            //
                 R"({"id":"c1","n":1,"do":"unlock"})",                         // no deadline at all
                 R"({"id":"c1","n":1,"do":"unlock","ttl":0})",                 //
                 R"({"id":"c1","n":1,"do":"unlock","ttl":86400001})",          //
                 R"({"id":"c1","n":1,"do":"unlock","exp":"soon"})",            //
                 R"({"id":"c1","n":1,"ttl":9,"do":"unlock","boot":-1})",       //
                 R"({"id":"c1","n":1,"ttl":9,"do":"unlock","args":[]})",       // not an object
                 R"({"id":"c1","n":1,"ttl":9,"do":"unlock","args":{"r":1}})",  // unknown argument
                 R"({"id":"c1","n":1,"ttl":9,"do":"unlock","args":{"ride":1}})",
                 R"({"id":"c1","n":1,"ttl":9,"do":"ring","args":{"times":0}})",
                 R"({"id":"c1","n":1,"ttl":9,"do":"ring","args":{"times":21}})",
                 R"({"id":"c1","n":1,"ttl":9,"do":"alarm"})",  // to arm or to disarm?
                 R"({"id":"c1","ttl":9,"do":"cancel"})",       // cancel what?
                 R"({"id":"c1","ttl":9,"do":"cancel","args":{"id":"c1"}})",
                 R"({"id":"c1","n":1,"ttl":9,"do":"unlock","if":{"moon":"full"}})",
                 R"({"id":"c1","n":1,"ttl":9,"do":"unlock","if":{"lock":"ajar"}})",
                 R"({"id":"c1","n":1,"ttl":9,"do":"unlock","if":true})");
    CAPTURE(text);
    auto parsed = parse_order(as_bytes(text));
    REQUIRE(std::holds_alternative<BadOrder>(parsed));
    CHECK(std::get<BadOrder>(parsed).why == Why::bad_args);
    CHECK(std::get<BadOrder>(parsed).head.id == "c1");
}

TEST_CASE("Order: without a usable id there is nothing to answer to", "[sim][order]") {
    auto text = GENERATE(as<std::string>{}, "", "unlock", "[]", "{", R"({"n":1,"do":"unlock"})",
                         R"({"id":7,"n":1,"do":"unlock"})", R"({"id":"","n":1,"do":"unlock"})",
                         R"({"id":")" + std::string(65, 'x') + R"(","n":1,"do":"unlock"})",
                         "{\"id\":\"\xff\"}");
    CAPTURE(text);
    CHECK(std::holds_alternative<Unreadable>(parse_order(as_bytes(text))));
}

TEST_CASE("Order: an id of 64 bytes is the longest", "[sim][order]") {
    auto id = std::string(64, 'x');
    auto order = order_of(R"({"id":")" + id + R"(","n":1,"ttl":9,"do":"unlock"})");
    CHECK(order.head.id == id);
}

TEST_CASE("Wanted settings: need a version", "[sim][order]") {
    std::string sound = R"({"v":13,"hb_s":30,"track_s":5})";
    auto settings = parse_wanted_settings(as_bytes(sound));
    REQUIRE(settings);
    CHECK(settings->version == 13U);
    CHECK(settings->heartbeat == 30s);
    CHECK_FALSE(parse_wanted_settings(as_bytes(R"({"hb_s":30})")));
    CHECK_FALSE(parse_wanted_settings(as_bytes(R"({"v":13,"hb_s":0})")));
    CHECK_FALSE(parse_wanted_settings(as_bytes("")));
}

TEST_CASE("Time: only a number of milliseconds is one", "[sim][order]") {
    CHECK(parse_time(as_bytes(R"({"now":1763838000123})")) == 1'763'838'000'123);
    CHECK_FALSE(parse_time(as_bytes(R"({"now":"noon"})")));
    CHECK_FALSE(parse_time(as_bytes(R"({})")));
}
