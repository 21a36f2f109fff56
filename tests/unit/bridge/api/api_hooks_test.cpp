#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {
namespace {

constexpr auto kShop = R"({"url":"https://shop.example/in","topics":["t/#"]})";

HttpRequest put(std::string body, std::string name = "shop") {
    HttpRequest request{"PUT", "/v1/hooks/" + name};
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = std::move(body);
    return request;
}

}  // namespace

TEST_CASE("api: a webhook is made, shown without its secret, changed and removed",
          "[bridge][api][hook]") {
    ApiWorld w;
    auto made = w.ask(put(kShop));
    CHECK(made.response.status == 201);
    auto secret = made.text("secret");
    CHECK(secret.starts_with("whsec_"));
    auto shown = w.get("/v1/hooks/shop");
    CHECK(shown.response.body ==
          R"({"name":"shop","url":"https://shop.example/in","topics":["t/#"],"format":"plain",)"
          R"("state":"active","cursor":"k7.0","behind":0,"waiting":0,"dead":0,"delivered":0,)"
          R"("failed":0})");
    CHECK(shown.header("Cache-Control") == "no-store");
    auto changed = w.ask(put(R"({"url":"https://shop.example/2","topics":["t/1"],)"
                             R"("format":"cloudevents","state":"paused"})"));
    CHECK(changed.response.status == 200);
    CHECK(changed.text("secret").empty());
    CHECK(changed.text("state") == "paused");
    auto other = w.ask(put(R"({"url":"https://shop.example/2","topics":["t/1"],)"
                           R"("secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})"));
    CHECK(other.text("secret") == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    CHECK(other.text("old_secret_until") == "2026-11-23T19:00:00.000Z");
    auto list = w.get("/v1/hooks");
    REQUIRE(list.body.at("hooks").as_array().size() == 1);
    CHECK(list.response.body.find("whsec") == std::string::npos);
    CHECK(w.ask({"DELETE", "/v1/hooks/shop"}).response.status == 204);
    check_problem(w.get("/v1/hooks/shop"), 404, "no-such-hook");
    check_problem(w.ask({"DELETE", "/v1/hooks/shop"}), 404, "no-such-hook");
    check_problem(w.get("/v1/hooks/shop/deliveries"), 404, "no-such-hook");
    check_problem(w.ask({"POST", "/v1/hooks/shop/deliveries/k7.1"}), 404, "no-such-hook");
}

TEST_CASE("api: what cannot be a webhook", "[bridge][api][hook]") {
    ApiWorld w;
    std::vector<std::pair<std::string, std::string>> bad{
        {R"({"topics":["t/#"]})", "url"},
        {R"({"url":"https://a"})", "topics"},
        {R"({"url":"http://a","topics":["t/#"]})", "url"},
        {R"({"url":"ftp://a","topics":["t/#"]})", "url"},
        {R"({"url":"https://u:p@a","topics":["t/#"]})", "url"},
        {R"({"url":"https://127.0.0.1/","topics":["t/#"]})", "url"},
        {R"({"url":"https://[::ffff:10.0.0.1]/","topics":["t/#"]})", "url"},
        {R"({"url":"https://a","topics":[]})", "topics"},
        {R"({"url":"https://a","topics":["t/#/x"]})", "topics"},
        {R"({"url":"https://a","topics":["shop/#"]})", "topics"},
        {R"({"url":"https://a","topics":"t/#"})", "topics"},
        {R"({"url":"https://a","topics":["t/#"],"format":"xml"})", "format"},
        {R"({"url":"https://a","topics":["t/#"],"state":"gone"})", "state"},
        {R"({"url":"https://a","topics":["t/#"],"secret":"whsec_MfKQ"})", "secret"},
        {R"({"url":"https://a","topics":["t/#"],"secrets":"x"})", "secrets"}};
    for (auto const& [body, member] : bad) {
        INFO(body);
        auto reply = w.ask(put(body));
        check_problem(reply, 400, "invalid");
        CHECK(reply.text("member") == member);
    }
    check_problem(w.ask(put("[")), 400, "invalid");
    check_problem(w.ask(put(kShop, "a%20b")), 400, "invalid");
    check_problem(w.ask(put(kShop, std::string(65, 'a'))), 400, "invalid");
    CHECK(w.ask(put(kShop, std::string(64, 'a'))).response.status == 201);
    auto text = put(kShop);
    text.headers[0].second = "text/plain";
    check_problem(w.ask(text), 415, "media-type");
    check_problem(w.get("/v1/hooks/shop/deliveries?limit=0"), 400, "invalid");
}

TEST_CASE("api: http and private addresses where the options allow them", "[bridge][api][hook]") {
    Api::Settings settings;
    settings.hooks = {true, true};
    ApiWorld w{{}, settings};
    CHECK(w.ask(put(R"({"url":"http://127.0.0.1:1/","topics":["t/#"]})")).response.status == 201);
}

TEST_CASE("api: deliveries of a webhook are listed and sent again", "[bridge][api][hook]") {
    ApiWorld w;
    w.ask(put(kShop));
    w.message("t/1", "1");
    CHECK(w.get("/v1/hooks/shop/deliveries").response.body ==
          R"({"deliveries":[{"id":"k7.1","topic":"t/1","state":"sending","attempts":1,)"
          R"("at":"2026-11-22T19:00:00.000Z"}]})");
    w.hook_client.answer(503);
    w.store_all();
    auto waiting = w.get("/v1/hooks/shop/deliveries").body.at("deliveries").at(0).as_object();
    CHECK(waiting["state"] == "waiting");
    CHECK(waiting["outcome"] == "503");
    CHECK(waiting.contains("next"));
    CHECK(w.get("/v1/hooks/shop").text("problem") == "503");
    CHECK(w.ask({"POST", "/v1/hooks/shop/deliveries/k7.1"}).response.status == 202);
    CHECK(w.hook_client.ids() == std::vector<std::string>{"k7.1"});
    check_problem(w.ask({"POST", "/v1/hooks/shop/deliveries/k7.2"}), 404, "no-such-delivery");
    w.hook_client.answer(200);
    CHECK(w.get("/v1/hooks/shop").body.at("delivered").as_int64() == 1);
    auto metrics = w.get("/metrics").response.body;
    CHECK(metrics.find("spoke_bridge_hook_delivered_total 1\n") != std::string::npos);
}

}  // namespace spoke::bridge::test
