#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {
namespace {

/// The broker's word on the request that was sent last.
void acknowledge(ApiWorld& w, mqtt::ReasonCode reason = {}) {
    auto done = w.uplink.published.back().done;
    done({mqtt::PublishStatus::acknowledged, {}, reason, {}});
    w.store_all();
}

mqtt::Publish answer_to(mqtt::Publish const& asked, std::string_view body,
                        std::optional<std::string> type = {}) {
    mqtt::Publish answer;
    answer.topic = *asked.properties.response_topic;
    answer.payload = to_buffer(body);
    answer.properties.correlation_data = asked.properties.correlation_data;
    if (type) answer.properties.content_type = *type;
    return answer;
}

}  // namespace

TEST_CASE("request: the answer of the device is the answer", "[bridge][api]") {
    ApiWorld w;
    HttpRequest request{"POST", "/v1/request/factory/7/plc?wait=5"};
    request.headers.emplace_back("Content-Type", "text/plain");
    request.body = "temperature?";
    auto pending = w.start(request);
    CHECK_FALSE(pending->reply);
    REQUIRE(w.uplink.published.size() == 1);
    auto asked = w.uplink.published[0].message;
    CHECK(asked.topic == "factory/7/plc");
    CHECK(asked.qos == mqtt::Qos::at_least_once);
    CHECK(asked.properties.content_type == "text/plain");
    acknowledge(w);
    w.service.on_packet(answer_to(asked, "<b>21.5</b>", "text/html"));
    REQUIRE(pending->reply);
    auto const& response = pending->reply->response;
    CHECK(response.status == 200);
    CHECK(response.content_type == "text/html");
    CHECK(response.body == "<b>21.5</b>");
    // It is a device's word: no browser is to run it.
    CHECK(pending->reply->header("Content-Security-Policy") == "sandbox");
    CHECK(pending->reply->header("X-Content-Type-Options") == "nosniff");
}

TEST_CASE("request: a content type that no header can hold is not passed on", "[bridge][api]") {
    ApiWorld w;
    auto pending = w.start({"POST", "/v1/request/plc"});
    acknowledge(w);
    w.service.on_packet(
        answer_to(w.uplink.published[0].message, "x", "text/plain\r\nSet-Cookie: a=b"));
    REQUIRE(pending->reply);
    CHECK(pending->reply->response.content_type == "application/octet-stream");
}

TEST_CASE("request: no answer in time is 202, for it was sent", "[bridge][api]") {
    ApiWorld w;
    auto pending = w.start({"POST", "/v1/request/plc?wait=2"});
    acknowledge(w);
    w.advance(2s);
    REQUIRE(pending->reply);
    CHECK(pending->reply->response.status == 202);
    CHECK(pending->reply->response.body == R"({"sent":true,"answered":false})");
}

TEST_CASE("request: what went nowhere is a problem", "[bridge][api]") {
    ApiWorld w;
    SECTION("nobody listens") {
        auto pending = w.start({"POST", "/v1/request/plc"});
        acknowledge(w, mqtt::ReasonCode::no_matching_subscribers);
        REQUIRE(pending->reply);
        check_problem(*pending->reply, 409, "nobody-listens");
    }
    SECTION("refused") {
        auto pending = w.start({"POST", "/v1/request/plc"});
        w.uplink.published[0].done(
            {mqtt::PublishStatus::refused, {}, mqtt::ReasonCode::not_authorized, {}});
        REQUIRE(pending->reply);
        check_problem(*pending->reply, 403, "publish-refused");
    }
    SECTION("not sent") {
        w.uplink.cause = mqtt::NotSent::too_large;
        check_problem(w.ask({"POST", "/v1/request/plc"}), 413, "publish-refused");
    }
    SECTION("broker down") {
        w.service.on_broker(false, "refused");
        check_problem(w.ask({"POST", "/v1/request/plc"}), 503, "broker-down");
    }
    SECTION("body without what should match") {
        HttpRequest request{"POST", "/v1/request/plc?reply=plc/re&match=/id"};
        request.body = "{}";
        check_problem(w.ask(request), 400, "invalid");
    }
}

TEST_CASE("request: parameters that will not do", "[bridge][api]") {
    ApiWorld w;
    for (auto const* target :
         {"/v1/request/a%23", "/v1/request/a?wait=0", "/v1/request/a?wait=x",
          "/v1/request/a?reply=a/%2B", "/v1/request/a?match=/id", "/v1/request/a?reply=b&match=id",
          "/v1/request/a?retain=1", "/v1/request/a?qos=7"}) {
        INFO(target);
        check_problem(w.ask({"POST", target}), 400, "invalid");
    }
    CHECK(w.uplink.published.empty());
}

}  // namespace spoke::bridge::test
