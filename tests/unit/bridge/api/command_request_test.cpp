#include "bridge/api/command_request.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "bridge/api/parameters.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

TEST_CASE("command request: the verb fills in what the body leaves out", "[bridge][http]") {
    CommandRequest unlock_order;
    REQUIRE_FALSE(parse_command_request(R"({"do":"unlock"})", "b42", unlock_order));
    CHECK(unlock_order == unlock());

    CommandRequest config;
    REQUIRE_FALSE(parse_command_request(R"({"do":"config","args":{"hb_s":600}})", "b42", config));
    CHECK(config.ttl == 24h);
    CHECK(config.if_offline == IfOffline::wait);
    CHECK(config.deliver == Deliver::until);
    CHECK(config.lane == "config");
    CHECK(config.args == R"({"hb_s":600})");

    CommandRequest foreign;
    REQUIRE_FALSE(parse_command_request(R"({"do":"dispense"})", "b42", foreign));
    CHECK(foreign.ttl == 10s);
    CHECK(foreign.if_offline == IfOffline::fail);
    CHECK(foreign.deliver == Deliver::once);
}

TEST_CASE("command request: every member", "[bridge][http]") {
    CommandRequest order;
    REQUIRE_FALSE(parse_command_request(
        R"({"do":"unlock","args":{"ride":"r","v":0.5},"ttl_ms":100,"ref":"r_9f31","if":{"lock":"locked"},)"
        R"("if_offline":"wait","if_busy":"fail","lane":"door-2","supersede":true,"deliver":"until"})",
        "b42", order));
    CHECK(order.args == R"({"ride":"r","v":0.5})");
    CHECK(order.ttl == 100ms);
    CHECK(order.ref == "r_9f31");
    CHECK(order.condition == R"({"lock":"locked"})");
    CHECK(order.if_offline == IfOffline::wait);
    CHECK(order.fail_if_busy);
    CHECK(order.lane == "door-2");
    CHECK(order.supersede);
    CHECK(order.deliver == Deliver::until);
}

TEST_CASE("command request: errors name the member", "[bridge][http]") {
    struct Row {
        std::string body;
        std::string member;
        std::string nearest;
    };
    auto row = GENERATE(values<Row>({{"", "", ""},
                                     {"unlock", "", ""},
                                     {R"({"do":"unlock")", "", ""},
                                     {R"({"do":"unlock"}{})", "", ""},
                                     {R"("do")", "", ""},
                                     {"{}", "do", ""},
                                     {R"({"do":"unlock","tll_ms":8000})", "tll_ms", "ttl_ms"},
                                     {R"({"do":"unlock","ttl":8000})", "ttl", "ttl_ms"},
                                     {R"({"do":"unlock","zzzzzzzz":1})", "zzzzzzzz", ""},
                                     {R"({"Do":"unlock"})", "Do", "do"},
                                     {R"({"do":7})", "do", ""},
                                     {R"({"do":""})", "do", ""},
                                     {R"({"do":"un lock"})", "do", ""},
                                     {R"({"do":"unlock","ttl_ms":"8000"})", "ttl_ms", ""},
                                     {R"({"do":"unlock","ttl_ms":99})", "ttl_ms", ""},
                                     {R"({"do":"unlock","ttl_ms":86400001})", "ttl_ms", ""},
                                     {R"({"do":"unlock","ttl_ms":100.5})", "ttl_ms", ""},
                                     {R"({"do":"unlock","ttl_ms":1e300})", "ttl_ms", ""},
                                     {R"({"do":"unlock","ref":""})", "ref", ""},
                                     {R"({"do":"unlock","ref":"a\u0000b"})", "ref", ""},
                                     {R"({"do":"unlock","args":[]})", "args", ""},
                                     {R"({"do":"unlock","args":null})", "args", ""},
                                     {R"({"do":"unlock","if":"locked"})", "if", ""},
                                     {R"({"do":"unlock","if_offline":"no"})", "if_offline", ""},
                                     {R"({"do":"unlock","if_busy":true})", "if_busy", ""},
                                     {R"({"do":"unlock","lane":""})", "lane", ""},
                                     {R"({"do":"unlock","supersede":1})", "supersede", ""},
                                     {R"({"do":"unlock","deliver":"twice"})", "deliver", ""}}));
    INFO(row.body);
    CommandRequest order;
    auto error = parse_command_request(row.body, "b42", order);
    REQUIRE(error);
    CHECK(error->member == row.member);
    CHECK(error->nearest == row.nearest);
    CHECK_FALSE(error->detail.empty());
}

TEST_CASE("command request: each limit at its edge", "[bridge][http]") {
    auto body = [](std::string_view name, boost::json::value value) {
        boost::json::object out{{"do", "unlock"}};
        out[name] = std::move(value);
        return boost::json::serialize(out);
    };
    std::vector<std::string> good;
    std::vector<std::string> bad;
    struct Edge {
        std::string_view member;
        std::size_t size_max;
    };
    for (auto const& edge : {Edge{"do", 64}, Edge{"ref", 128}, Edge{"lane", 64}}) {
        good.push_back(body(edge.member, boost::json::string(edge.size_max, 'x')));
        bad.push_back(body(edge.member, boost::json::string(edge.size_max + 1, 'x')));
    }
    for (auto ttl : {100, 86'400'000}) good.push_back(body("ttl_ms", ttl));
    for (auto ttl : {99, 86'400'001}) bad.push_back(body("ttl_ms", ttl));
    CommandRequest order;
    for (auto const& text : good) {
        INFO(text);
        CHECK_FALSE(parse_command_request(text, "b42", order));
    }
    for (auto const& text : bad) {
        INFO(text);
        CHECK(parse_command_request(text, "b42", order));
    }
    std::string key;
    CHECK_FALSE(parse_idempotency_key('"' + std::string(255, 'k') + '"', key));
    CHECK(parse_idempotency_key('"' + std::string(256, 'k') + '"', key));
    CHECK(parse_idempotency_key(std::string(256, 'k'), key));
}

TEST_CASE("command request: nesting is bounded", "[bridge][http]") {
    CommandRequest order;
    auto deep = R"({"do":"unlock","args":{"a":)" + std::string(10'000, '[') +
                std::string(10'000, ']') + "}}";
    CHECK(parse_command_request(deep, "b42", order).has_value());
}

TEST_CASE("Idempotency-Key: quoted or bare", "[bridge][http]") {
    std::string key;
    CHECK_FALSE(parse_idempotency_key("", key));
    CHECK(key.empty());
    CHECK_FALSE(parse_idempotency_key(R"("4b1c")", key));
    CHECK(key == "4b1c");
    CHECK_FALSE(parse_idempotency_key("4b1c", key));
    CHECK(key == "4b1c");
    CHECK_FALSE(parse_idempotency_key(R"("a\"b\\c")", key));
    CHECK(key == R"(a"b\c)");
    for (auto const& bad : {std::string{R"("")"}, std::string{R"("a)"}, std::string{R"("a"b")"},
                            std::string{R"("a\")"}, std::string{"a\tb"}, std::string(300, 'a')}) {
        INFO(bad);
        CHECK(parse_idempotency_key(bad, key).has_value());
    }
}

TEST_CASE("wait: from the query, else from Prefer, at most 55 s", "[bridge][http]") {
    struct Row {
        std::string target;
        std::string prefer;
        std::chrono::seconds wait;
        std::string applied;
    };
    auto row = GENERATE(values<Row>({{"/", "", 0s, ""},
                                     {"/?wait=8", "", 8s, ""},
                                     {"/?wait=8", "wait=3", 8s, ""},
                                     {"/", "wait=8", 8s, "wait=8"},
                                     {"/", "respond-async", 0s, "respond-async"},
                                     {"/", "respond-async, wait=5;x=1", 5s, "wait=5"},
                                     {"/", "wait=soon", 0s, ""},
                                     {"/?wait=300", "", 55s, ""}}));
    INFO(row.target << " " << row.prefer);
    HttpRequest request;
    request.target = row.target;
    if (!row.prefer.empty()) request.headers.emplace_back("prefer", row.prefer);
    WaitWish wish;
    REQUIRE_FALSE(parse_wait(request, *parse_target(row.target), wish));
    CHECK(wish.wait == row.wait);
    CHECK(wish.applied == row.applied);
    CHECK(parse_wait(request, *parse_target("/?wait=-1"), wish).has_value());
    CHECK(parse_wait(request, *parse_target("/?wait=1.5"), wish).has_value());
}

}  // namespace spoke::bridge::test
