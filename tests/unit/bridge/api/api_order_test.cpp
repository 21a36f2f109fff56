#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {

TEST_CASE("orders of a device: newest first, by pages, open ones", "[bridge][api]") {
    ApiWorld w;
    check_problem(w.get("/v1/devices/b42/commands"), 404, "no-such-device");
    w.message("d/b42/up", kBirth);
    CHECK(w.get("/v1/devices/b42/commands").response.body == R"({"commands":[]})");
    std::vector<std::string> ids;
    for (auto const* key : {"k1", "k2", "k3"}) {
        w.clock.advance(5ms);
        ids.push_back(w.ask(ApiWorld::order(R"({"do":"ring"})", "", key)).text("id"));
    }
    w.answer(ids[0], R"("n":1,"r":"ok")");
    auto listed = [&w](std::string const& query) {
        std::string out;
        auto reply = w.get("/v1/devices/b42/commands" + query);
        for (auto const& command : reply.body.at("commands").as_array()) {
            out += json::value_to<std::string>(command.at("id")) + ";";
        }
        return out;
    };
    CHECK(listed("") == ids[2] + ";" + ids[1] + ";" + ids[0] + ";");
    CHECK(listed("?open=1") == ids[2] + ";" + ids[1] + ";");
    CHECK(listed("?limit=1") == ids[2] + ";");
    CHECK(listed("?limit=2&after=" + ids[2]) == ids[1] + ";" + ids[0] + ";");
    CHECK(w.get("/v1/devices/b42/commands?limit=2").header("Link") ==
          "</v1/devices/b42/commands?limit=2&after=" + ids[1] + ">; rel=\"next\"");
    CHECK(w.get("/v1/devices/b42/commands?limit=3").header("Link").empty());
    for (auto const* bad : {"?open=maybe", "?limit=0", "?after=x", "?opn=1"}) {
        INFO(bad);
        check_problem(w.get(std::string{"/v1/devices/b42/commands"} + bad), 400, "invalid");
    }
}

TEST_CASE("cancel: what was not sent ends, and is told once it is stored", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", R"({"on":false,"boot":7})");
    auto id = w.ask(ApiWorld::order(R"({"do":"locate"})")).text("id");
    w.store_works = false;
    auto pending = w.start({"DELETE", "/v1/commands/" + id});
    CHECK_FALSE(pending->reply);
    w.store.complete();
    REQUIRE(pending->reply);
    CHECK(pending->reply->response.status == 200);
    CHECK(pending->reply->text("state") == "cancelled");
    w.store_works = true;
    CHECK(w.ask({"DELETE", "/v1/commands/" + id}).text("state") == "cancelled");
    CHECK(w.uplink.published.empty());
}

TEST_CASE("cancel: of what was sent the device is asked", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto id = w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "k")).text("id");
    auto now = w.ask({"DELETE", "/v1/commands/" + id});
    CHECK(now.response.status == 202);
    CHECK(now.header("Location") == "/v1/commands/" + id);
    REQUIRE(w.uplink.published.size() == 2);
    CHECK_THAT(std::string{as_text(w.uplink.published[1].message.payload)},
               Catch::Contains(R"("do":"cancel")") && Catch::Contains(id));
    auto later = w.start({"DELETE", "/v1/commands/" + id + "?wait=5"});
    CHECK_FALSE(later->reply);
    CHECK(w.uplink.published.size() == 2);  // the same wish
    w.answer(id, R"("n":1,"r":"ok","lock":"unlocked")");
    REQUIRE(later->reply);
    CHECK(later->reply->response.status == 200);
    CHECK(later->reply->text("state") == "succeeded");
    auto late = w.ask({"DELETE", "/v1/commands/" + id});
    check_problem(late, 409, "too-late");
    CHECK(late.text("state") == "succeeded");
}

TEST_CASE("cancel: a device that cannot be asked", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto id = w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "k")).text("id");
    w.message("d/b42/up", R"({"on":false,"boot":7})");
    check_problem(w.ask({"DELETE", "/v1/commands/" + id}), 409, "device-offline");
    check_problem(w.ask({"DELETE", "/v1/commands/c_00000000000000000000000001"}), 404,
                  "no-such-command");
    check_problem(w.ask({"DELETE", "/v1/commands/x"}), 404, "no-such-command");
}

TEST_CASE("order: a peer that goes away frees its place at once", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    std::function<void()> gone;
    auto request = ApiWorld::order(R"({"do":"unlock"})", "?wait=8", "k");
    request.when_gone = [&gone](std::function<void()> told) { gone = std::move(told); };
    auto pending = w.start(request);
    CHECK_FALSE(pending->reply);
    CHECK(w.service.held() == 1);
    REQUIRE(gone);
    gone();
    CHECK(w.service.held() == 0);
    REQUIRE(pending->reply);  // for one who has only closed his sending side
    CHECK(pending->reply->response.status == 202);
    gone();
    CHECK(w.service.held() == 0);
}

TEST_CASE("order: preferences are answered", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto request = ApiWorld::order(R"({"do":"unlock"})", "", "k");
    request.headers.emplace_back("Prefer", "respond-async");
    auto reply = w.ask(request);
    CHECK(reply.response.status == 202);
    CHECK(reply.header("Preference-Applied") == "respond-async");
}

TEST_CASE("order: its trace goes to the device and stands in the record", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto request = ApiWorld::order(R"({"do":"unlock"})", "", "k");
    request.trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    CHECK(w.ask(request).text("trace") == request.trace);
    auto const& sent = w.uplink.published[0].message.properties.user_properties;
    CHECK(std::ranges::any_of(sent, [&](auto const& property) {
        return property.name == "traceparent" && property.value == request.trace;
    }));
}

TEST_CASE("command: If-None-Match with a list, weak or not", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto made = w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "k"));
    HttpRequest request{"GET", "/v1/commands/" + made.text("id")};
    request.headers.emplace_back("If-None-Match", "\"99\", W/" + made.header("ETag"));
    CHECK(w.ask(request).response.status == 304);
    request.headers[0].second = "\"99\"";
    CHECK(w.ask(request).response.status == 200);
}

TEST_CASE("audit: lines with a next page", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    w.ask(ApiWorld::order(R"({"do":"unlock","ref":"r1"})"));
    w.ask(ApiWorld::order(R"({"do":"ring","ref":"r2"})"));
    auto all = w.get("/v1/audit");
    CHECK(all.response.content_type == "application/x-ndjson");
    CHECK(std::ranges::count(all.response.body, '\n') >= 2);
    auto page = w.get("/v1/audit?limit=1&device=b42");
    CHECK(std::ranges::count(page.response.body, '\n') == 1);
    CHECK(page.header("Link") == "</v1/audit?limit=1&device=b42&after=1>; rel=\"next\"");
    auto line = json::parse(page.response.body).as_object();
    CHECK(line.at("what").as_string() == "command.queued");
    CHECK(line.at("device").as_string() == "b42");
    CHECK(w.get("/v1/audit?after=1000").response.body.empty());
    CHECK(w.get("/v1/audit?since=2030-01-01T00:00:00Z").response.body.empty());
    CHECK(w.get("/v1/audit?since=2026-11-22T19:00:00.0Z").response.body == all.response.body);
    for (auto const* bad :
         {"since=yesterday", "since=2026-02-30T00:00:00Z", "after=x", "limit=0", "devise=b42"}) {
        INFO(bad);
        check_problem(w.get(std::string{"/v1/audit?"} + bad), 400, "invalid");
    }
}

TEST_CASE("problem pages: one for every type there is, none for others", "[bridge][api]") {
    ApiWorld w;
    for (auto const& type : problem_types()) {
        CHECK(type_of(type.kind).name == type.name);
        auto page = w.get("/problems/" + std::string{type.name});
        CHECK(page.response.status == 200);
        CHECK(page.response.content_type == "text/html; charset=utf-8");
        CHECK_THAT(page.response.body, Catch::Contains(std::string{type.name}));
        CHECK_FALSE(type.meaning.empty());
        CHECK_FALSE(type.remedy.empty());
    }
    check_problem(w.get("/problems/nothing"), 404, "no-such-path");
}

TEST_CASE("preflight: any path there is, with its methods", "[bridge][api]") {
    ApiWorld w;
    HttpRequest request{"OPTIONS", "/v1/devices/b42"};
    request.headers.emplace_back("Origin", "https://app.example");
    request.headers.emplace_back("Access-Control-Request-Method", "PUT");
    auto reply = w.ask(request);
    CHECK(reply.response.status == 204);
    CHECK(reply.header("Access-Control-Allow-Methods") == "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
    CHECK_THAT(reply.header("Access-Control-Allow-Headers"), Catch::Contains("Authorization"));
    check_problem(w.ask({"OPTIONS", "/v1/nothing"}), 404, "no-such-path");
}

}  // namespace spoke::bridge::test
