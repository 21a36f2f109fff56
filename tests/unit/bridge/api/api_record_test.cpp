#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {
namespace {

HttpRequest change(std::string method, std::string body, std::string header = {},
                   std::string value = {}) {
    HttpRequest request{std::move(method), "/v1/devices/b42"};
    request.headers.emplace_back("Content-Type", "application/json");
    if (!header.empty()) request.headers.emplace_back(header, value);
    request.body = std::move(body);
    return request;
}

}  // namespace

TEST_CASE("record: made, read, changed in part, deleted", "[bridge][api]") {
    ApiWorld w;
    auto made = w.ask(change(
        "PUT", R"({"alias":"blue","tags":["b","a","b"],"profile":"lock-v2","deny":["unlock"]})"));
    CHECK(made.response.status == 201);
    CHECK(made.header("ETag") == "\"1\"");
    CHECK(made.text("alias") == "blue");
    CHECK(json::serialize(made.body["tags"]) == R"(["a","b"])");
    CHECK(made.text("presence") == "offline");

    auto patched = w.ask(change("PATCH", R"({"alias":null,"deny":[]})"));
    CHECK(patched.response.status == 200);
    CHECK(patched.header("ETag") == "\"2\"");
    CHECK(patched.body["alias"].is_null());
    CHECK(patched.text("profile") == "lock-v2");

    auto put = w.ask(change("PUT", R"({"alias":"red"})"));
    CHECK(put.response.status == 200);
    CHECK(put.body["profile"].is_null());
    auto read = w.get("/v1/devices/b42");
    CHECK(read.text("alias") == "red");
    CHECK(read.header("ETag") == "\"3\"");
    CHECK(w.service.devices().find("b42")->record->version == 3);

    auto gone = w.ask(change("DELETE", ""));
    CHECK(gone.response.status == 204);
    CHECK(gone.response.body.empty());
    check_problem(w.get("/v1/devices/b42"), 404, "no-such-device");
    check_problem(w.ask(change("DELETE", "")), 404, "no-such-device");
    check_problem(w.ask(change("PATCH", "{}")), 404, "no-such-device");
    CHECK_THAT(w.get("/v1/audit?device=b42").response.body,
               Catch::Contains("device.updated") && Catch::Contains("device.deleted"));
}

TEST_CASE("record: If-Match and If-None-Match", "[bridge][api]") {
    ApiWorld w;
    check_problem(w.ask(change("PUT", "{}", "If-Match", "*")), 412, "record-changed");
    check_problem(w.ask(change("PUT", "{}", "If-Match", "\"1\"")), 412, "record-changed");
    CHECK(w.ask(change("PUT", "{}", "If-None-Match", "*")).response.status == 201);
    check_problem(w.ask(change("PUT", "{}", "If-None-Match", "*")), 412, "record-changed");
    CHECK(w.ask(change("PATCH", "{}", "If-Match", "\"1\"")).header("ETag") == "\"2\"");
    auto late = w.ask(change("PATCH", R"({"alias":"x"})", "If-Match", "\"1\""));
    check_problem(late, 412, "record-changed");
    CHECK(late.text("detail") == "its ETag is \"2\"");
    check_problem(w.ask(change("DELETE", "", "If-Match", "\"1\"")), 412, "record-changed");
    CHECK(w.ask(change("DELETE", "", "If-Match", "\"7\", \"2\"")).response.status == 204);
}

TEST_CASE("record: what has only been heard of has ETag 0", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    CHECK(w.get("/v1/devices/b42").header("ETag") == "\"0\"");
    CHECK(w.ask(change("PATCH", R"({"alias":"x"})", "If-Match", "\"0\"")).header("ETag") ==
          "\"1\"");
}

TEST_CASE("record: of two changes at once the second sees the first", "[bridge][api]") {
    ApiWorld w;
    w.store_works = false;
    auto first = w.start(change("PUT", R"({"alias":"a"})", "If-None-Match", "*"));
    auto second = w.start(change("PUT", R"({"alias":"b"})", "If-None-Match", "*"));
    CHECK_FALSE(first->reply);
    CHECK_FALSE(second->reply);
    w.store.complete();
    w.store.complete();
    REQUIRE(first->reply);
    CHECK(first->reply->response.status == 201);
    REQUIRE(second->reply);
    check_problem(*second->reply, 412, "record-changed");
}

TEST_CASE("record: only so many changes of one wait", "[bridge][api]") {
    ApiWorld w;
    w.store_works = false;
    std::vector<std::shared_ptr<Pending>> waiting;
    for (int i = 0; i < 64; ++i) waiting.push_back(w.start(change("PUT", "{}")));
    CHECK_FALSE(waiting.back()->reply);
    check_problem(w.ask(change("PUT", "{}")), 429, "rate");
    while (!w.store.pending.empty()) w.store.complete();
    for (auto const& one : waiting) REQUIRE(one->reply);
    CHECK(waiting.back()->reply->header("ETag") == "\"64\"");
}

TEST_CASE("record: what cannot be stored is told, and the next one is not stuck", "[bridge][api]") {
    ApiWorld w;
    w.store_works = false;
    auto failed = w.start(change("PUT", R"({"alias":"a"})"));
    w.store.complete(false);
    REQUIRE(failed->reply);
    check_problem(*failed->reply, 503, "log-full");
    w.store_works = true;
    CHECK(w.ask(change("PUT", R"({"alias":"b"})")).response.status == 201);
}

TEST_CASE("record: limits of its fields", "[bridge][api]") {
    ApiWorld w;
    auto text = [](std::string_view name, std::size_t size) {
        return json::serialize(json::object{{name, std::string(size, 'x')}});
    };
    auto list = [](std::string_view name, std::size_t count, std::size_t size) {
        json::array items;
        for (std::size_t i = 0; i < count; ++i) {
            auto item = std::to_string(i);
            items.emplace_back(item + std::string(size - item.size(), 'x'));
        }
        return json::serialize(json::object{{name, std::move(items)}});
    };
    for (auto const& body : {text("alias", 128), text("profile", 128), list("tags", 64, 64),
                             list("deny", 64, 64), std::string{R"({"deny":["*"]})"}}) {
        INFO(body);
        CHECK(w.ask(change("PUT", body)).response.status < 300);
    }
    for (auto const& body :
         {text("alias", 129), text("profile", 129), list("tags", 65, 2), list("tags", 1, 65),
          list("deny", 65, 2), std::string{R"({"tags":[""]})"}, std::string{R"({"tags":["a b"]})"},
          std::string{R"({"tags":"a"})"}, std::string{R"({"alias":7})"},
          std::string{R"({"alias":"a\u0007"})"}, std::string{"[]"}, std::string{"{"}}) {
        INFO(body);
        check_problem(w.ask(change("PUT", body)), 400, "invalid");
        check_problem(w.ask(change("PATCH", body)), 400, "invalid");
    }
    auto wrong = w.ask(change("PUT", R"({"aliass":"x"})"));
    CHECK(wrong.text("nearest") == "alias");
    auto typed = change("PUT", "{}");
    typed.headers[0].second = "text/plain";
    check_problem(w.ask(typed), 415, "media-type");
}

TEST_CASE("record: what cannot be an id", "[bridge][api]") {
    ApiWorld w;
    for (auto const& id : {std::string{"a%2Fb"}, std::string{"a%2B"}, std::string{"%23"},
                           std::string{"a%0A"}, std::string(129, 'a')}) {
        HttpRequest request{"PUT", "/v1/devices/" + id};
        request.body = "{}";
        INFO(id);
        check_problem(w.ask(request), 400, "invalid");
    }
    HttpRequest request{"PUT", "/v1/devices/" + std::string(128, 'a')};
    request.body = "{}";
    CHECK(w.ask(request).response.status == 201);
}

TEST_CASE("devices: by tag and place", "[bridge][api]") {
    ApiWorld w;
    auto ids = [&w](std::string const& query) {
        std::string out;
        auto reply = w.get("/v1/devices?" + query);
        for (auto const& device : reply.body.at("devices").as_array()) {
            out += json::value_to<std::string>(device.at("id")) + ";";
        }
        return out;
    };
    w.message("d/b42/state", R"({"boot":7,"pos":{"lat":31.2304,"lon":121.4737}})");
    w.message("d/b43/state", R"({"boot":7,"pos":{"lat":31.2349,"lon":121.4737}})");  // 500 m north
    w.message("d/b44/state", R"({"boot":7,"pos":{"lat":"x"}})");
    w.message("d/b45/state", R"({"boot":7})");
    CHECK(w.ask(change("PUT", R"({"tags":["lost","red"]})")).response.status == 200);
    CHECK(ids("tag=lost") == "b42;");
    CHECK(ids("tag=lost&tag=red") == "b42;");
    CHECK(ids("tag=lost&tag=blue").empty());
    CHECK(ids("near=31.2304,121.4737,100") == "b42;");
    CHECK(ids("near=31.2304,121.4737,501") == "b42;b43;");
    CHECK(ids("near=31.2304,121.4737,499") == "b42;");
    auto page = w.get("/v1/devices?limit=1&tag=lost&near=31.2304,121.4737,100");
    CHECK(page.header("Link") ==
          "</v1/devices?limit=1&after=b42&tag=lost&near=31.2304,121.4737,100>; rel=\"next\"");
    for (auto const* bad : {"near=1,2", "near=91,0,1", "near=0,181,1", "near=0,0,-1", "near=a,b,c",
                            "near=nan,0,1", "limit=1001", "limit=0", "tags=x"}) {
        INFO(bad);
        check_problem(w.get(std::string{"/v1/devices?"} + bad), 400, "invalid");
    }
}

TEST_CASE("devices: a page ends by its size too", "[bridge][api]") {
    ApiWorld w;
    auto fat = R"({"boot":7,"x":")" + std::string(60'000, 'x') + R"("})";
    for (int i = 0; i < 40; ++i) w.message("d/b" + std::to_string(100 + i) + "/state", fat);
    auto page = w.get("/v1/devices?limit=1000");
    auto count = page.body.at("devices").as_array().size();
    CHECK(count == 17);
    CHECK(page.header("Link") == "</v1/devices?limit=1000&after=b116>; rel=\"next\"");
}

}  // namespace spoke::bridge::test
