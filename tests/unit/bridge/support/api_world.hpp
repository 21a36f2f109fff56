#pragma once

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/api/api.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

namespace json = boost::json;

inline constexpr auto kBirth = R"({"on":true,"boot":7,"up":1830,"fw":"2.4.1","hw":"OC33"})";

struct Reply {
    HttpResponse response;
    json::object body;

    std::string header(std::string_view name) const { return std::string{response.header(name)}; }
    std::string text(std::string_view name) const {
        auto const* value = body.if_contains(name);
        return value == nullptr ? "" : json::value_to<std::string>(*value);
    }
};

/// A request on its way; `reply` is there once it was answered.
struct Pending {
    std::optional<Reply> reply;
};

struct ApiWorld : ServiceWorld {
    explicit ApiWorld(KeyMaterial keys = {}, Api::Settings settings = {})
        : access{{}, std::move(keys)}, api{service, access, hooks, settings} {}
    explicit ApiWorld(Service::Settings settings)
        : ServiceWorld{std::move(settings)}, access{{}, {}}, api{service, access, hooks, {}} {}

    /// One whose log keeps the last `events_max` events below t/.
    static std::unique_ptr<ApiWorld> with_short_log(std::uint64_t events_max) {
        EventClass kept{"t/#"};
        kept.events_max = events_max;
        return std::unique_ptr<ApiWorld>{new ApiWorld{std::vector{kept, EventClass{"u/+/in"}}}};
    }

    Access access;
    Api api;

    std::shared_ptr<Pending> start(HttpRequest request) {
        auto pending = std::make_shared<Pending>();
        api.handle(request, [pending](HttpResponse response) {
            REQUIRE_FALSE(pending->reply);
            Reply reply;
            if (!response.body.empty() && response.content_type.ends_with("json") &&
                response.content_type != "application/x-ndjson") {
                reply.body = json::parse(response.body).as_object();
            }
            reply.response = std::move(response);
            pending->reply = std::move(reply);
        });
        store_all();
        return pending;
    }

    /// A request that must be answered at once.
    Reply ask(HttpRequest request) {
        auto pending = start(std::move(request));
        REQUIRE(pending->reply);
        return *pending->reply;
    }

    /// Records an event, committed at once.
    void happens(std::string_view topic, std::string data, std::string type = {}) {
        EventDraft draft;
        draft.topic = topic;
        draft.data = std::move(data);
        draft.type = std::move(type);
        log.record(std::move(draft), Need::now_or_never, clock.now, {});
        store_all();
    }

    void happens_often(std::string_view topic, int times) {
        for (int i = 0; i < times; ++i) happens(topic, "1");
    }

    Reply get(std::string target) { return ask({"GET", std::move(target)}); }

    static HttpRequest order(std::string body, std::string query = {}, std::string key = {}) {
        HttpRequest request{"POST", "/v1/devices/b42/commands" + query};
        request.headers.emplace_back("Content-Type", "application/json; charset=utf-8");
        if (!key.empty()) request.headers.emplace_back("Idempotency-Key", key);
        request.body = std::move(body);
        return request;
    }

    void answer(std::string const& id, std::string_view rest) {
        message("d/b42/ans", "{\"id\":\"" + id + "\"," + std::string{rest} + "}");
    }

private:
    /// Of the newest events it has but two at hand: the rest is read from the store.
    explicit ApiWorld(std::vector<EventClass> recorded)
        : ServiceWorld{{}, std::move(recorded), {}, 2},
          access{{}, {}},
          api{service, access, hooks, {}} {}
};

inline void check_problem(Reply const& reply, unsigned status, std::string const& type) {
    CHECK(reply.response.status == status);
    CHECK(reply.response.content_type == "application/problem+json");
    CHECK(reply.text("type") == "/problems/" + type);
    CHECK_FALSE(reply.text("title").empty());
    CHECK(reply.body.at("status").as_int64() == status);
    CHECK(reply.body.at("sent").as_bool() == false);
}

}  // namespace spoke::bridge::test
