#include <catch2/catch.hpp>

#include "tests/unit/bridge/access/samples.hpp"
#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {
namespace {

/// A bridge with a secret, and tokens of it.
struct GuardedWorld : ApiWorld {
    explicit GuardedWorld(Api::Settings settings = {}) : ApiWorld{keys(), settings} {
        message("d/b42/up", kBirth);
        message("d/b43/up", kBirth);
    }

    static KeyMaterial keys() {
        KeyMaterial out;
        out.token_keys = {parse_secret(kSecret)};
        out.api_keys = parse_api_keys(
            api_key_line("ops", make_api_key(sha256("ops")), {}, {"devices:read", "audit"}));
        return out;
    }

    std::string token(std::string scope, std::vector<std::string> devices = {}) const {
        return make_token({"7777", std::move(scope), std::move(devices), {}, {}, 60s}, kSecret,
                          clock.now.wall);
    }

    static HttpRequest with(HttpRequest request, std::string const& token) {
        request.address = "127.0.0.1:5";
        request.headers.emplace_back("Authorization", "Bearer " + token);
        return request;
    }
};

struct NeedRow {
    HttpRequest request;
    std::string needs;
};

/// One request for each route that is not open, and the least scope that lets it pass.
std::vector<NeedRow> need_rows() {
    HttpRequest record{"PUT", "/v1/devices/b42"};
    record.body = "{}";
    HttpRequest patch{"PATCH", "/v1/devices/b42"};
    patch.body = "{}";
    HttpRequest hook{"PUT", "/v1/hooks/shop"};
    hook.body = "{}";
    HttpRequest message{"POST", "/v1/inboxes/7777/messages"};
    message.body = R"({"type":"like"})";
    HttpRequest read{"POST", "/v1/inboxes/7777/read"};
    read.body = R"({"upto":"k7.0"})";
    auto id = "c_00000000000000000000000001";
    return {
        {{"GET", "/metrics"}, "admin"},
        {hook, "admin"},
        {{"GET", "/v1/hooks"}, "admin"},
        {{"GET", "/v1/hooks/shop"}, "admin"},
        {{"DELETE", "/v1/hooks/shop"}, "admin"},
        {{"GET", "/v1/hooks/shop/deliveries"}, "admin"},
        {{"POST", "/v1/hooks/shop/deliveries/k7.1"}, "admin"},
        {{"GET", "/v1/devices"}, "devices:read"},
        {{"GET", "/v1/devices/b42"}, "devices:read"},
        {record, "devices:write"},
        {patch, "devices:write"},
        {{"DELETE", "/v1/devices/b42"}, "devices:write"},
        {{"GET", "/v1/devices/b42/commands"}, "devices:read"},
        {ApiWorld::order(R"({"do":"unlock"})", "", "k"), "command:unlock"},
        {{"GET", std::string{"/v1/commands/"} + id}, "devices:read"},
        {{"DELETE", std::string{"/v1/commands/"} + id}, "command:*"},
        {{"POST", "/v1/publish/shop/1"}, "publish:shop/1"},
        {{"POST", "/v1/request/shop/1?wait=1"}, "publish:shop/1"},
        {{"GET", "/v1/audit"}, "audit"},
        {{"GET", "/v1/events?topic=t/1"}, "events:t/1"},
        {{"GET", "/v1/inboxes/7777"}, "inbox:7777"},
        {{"GET", "/v1/inboxes/7777/messages"}, "inbox:7777"},
        {message, "inbox:write"},
        {read, "inbox:7777"},
    };
}

}  // namespace

TEST_CASE("api: each route asks for its scope and no other will do", "[bridge][api][access]") {
    std::vector<std::string> const all{
        "devices:read", "devices:write", "command:unlock", "command:*", "publish:shop/1",
        "inbox:7777",   "inbox:write",   "audit",          "admin",     "events:t/1"};
    for (auto const& row : need_rows()) {
        INFO(row.request.method << " " << row.request.target);
        GuardedWorld w;
        auto kind = row.needs.substr(0, row.needs.find(':') + 1);
        std::string without;
        for (auto const& scope : all) {
            auto is_kin = kind == "command:" && scope.starts_with(kind);
            if (scope != row.needs && !is_kin) without += scope + " ";
        }
        auto refused = w.ask(w.with(row.request, w.token(without)));
        check_problem(refused, 403, "scope");
        CHECK(refused.text("needs") == (row.needs == "command:unlock" ? "command:*" : row.needs));
        auto answered = w.start(w.with(row.request, w.token(row.needs)));
        if (answered->reply) {
            CHECK(answered->reply->response.status != 401);
            CHECK(answered->reply->response.status != 403);
        }
        auto nobody = w.ask(row.request);
        check_problem(nobody, 401, "unauthorized");
        CHECK(nobody.header("WWW-Authenticate") == "Bearer realm=\"spoke\"");
    }
}

TEST_CASE("api: every route of the table is one of the rows above, or open",
          "[bridge][api][access]") {
    std::size_t guarded = 0;
    for (auto const& route : Api::route_names()) {
        if (route.right != Right::none && route.right != Right::anybody) ++guarded;
    }
    CHECK(guarded == need_rows().size());
    GuardedWorld w;
    for (auto const* target : {"/healthz", "/readyz", "/problems/rate", "/v1/openapi.json"}) {
        CHECK(w.get(target).response.status == 200);
    }
}

TEST_CASE("api: another verb's scope does not do", "[bridge][api][access]") {
    GuardedWorld w;
    auto reply =
        w.ask(w.with(ApiWorld::order(R"({"do":"unlock"})", "", "k"), w.token("command:lock")));
    check_problem(reply, 403, "scope");
    CHECK(reply.text("needs") == "command:unlock");
    CHECK(w.uplink.published.empty());
}

TEST_CASE("api: bad credentials are told from none, and nothing of them is told",
          "[bridge][api][access]") {
    GuardedWorld w;
    auto expired = w.token("devices:read");
    w.clock.advance(2min);
    struct Row {
        std::string header;
        std::string detail;
    };
    for (auto const& row :
         std::vector<Row>{{"Bearer " + expired, "not valid any more"},
                          {"Bearer a.b.c", "neither a JSON Web Token"},
                          {"Bearer " + make_api_key(sha256("x")), "no such API key"},
                          {"Basic dXNlcjpzZWNyZXQtcGFzc3dvcmQ=", "neither a JSON Web Token"}}) {
        HttpRequest request{"GET", "/v1/devices"};
        request.headers.emplace_back("authorization", row.header);
        auto reply = w.ask(request);
        check_problem(reply, 401, "unauthorized");
        CHECK_THAT(reply.text("detail"), Catch::Contains(row.detail));
        CHECK_THAT(reply.header("WWW-Authenticate"), Catch::Contains("error=\"invalid_token\""));
        auto credentials = row.header.substr(row.header.find(' ') + 1);
        CHECK(reply.response.body.find(credentials) == std::string::npos);
        for (auto const& [name, value] : reply.response.headers) {
            CHECK(value.find(credentials) == std::string::npos);
        }
    }
    for (auto const& warning : w.warnings) CHECK(warning.find("Bearer") == std::string::npos);
}

TEST_CASE("api: a token for some devices reaches no other", "[bridge][api][access]") {
    GuardedWorld w;
    auto token = w.token("devices:read devices:write command:* publish:# audit", {"b42", "b77"});
    CHECK(w.ask(w.with({"GET", "/v1/devices/b42"}, token)).response.status == 200);
    check_problem(w.ask(w.with({"GET", "/v1/devices/b43"}, token)), 403, "scope");
    check_problem(w.ask(w.with({"DELETE", "/v1/devices/b43"}, token)), 403, "scope");
    check_problem(w.ask(w.with({"GET", "/v1/devices/b43/commands"}, token)), 403, "scope");
    auto list = w.ask(w.with({"GET", "/v1/devices"}, token));
    CHECK(list.body.at("devices").as_array().size() == 1);
    check_problem(w.ask(w.with({"GET", "/v1/audit"}, token)), 403, "scope");
    check_problem(w.ask(w.with({"GET", "/v1/audit?device=b43"}, token)), 403, "scope");
    CHECK(w.ask(w.with({"GET", "/v1/audit?device=b42"}, token)).response.status == 200);
    check_problem(w.ask(w.with({"POST", "/v1/publish/d/b43/cmd"}, token)), 403, "scope");
    check_problem(w.ask(w.with({"POST", "/v1/request/d/b43/cmd"}, token)), 403, "scope");
    check_problem(w.ask(w.with({"POST", "/v1/request/x?reply=d/b43/ans"}, token)), 403, "scope");
    CHECK(w.uplink.published.empty());
    CHECK_FALSE(w.start(w.with({"POST", "/v1/publish/d/b42/x"}, token))->reply);

    // An order of another device, which somebody else gave.
    auto other = w.with(ApiWorld::order(R"({"do":"unlock"})", "", "k"), w.token("command:*"));
    other.target = "/v1/devices/b43/commands";
    auto id = w.ask(other).text("id");
    check_problem(w.ask(w.with({"GET", "/v1/commands/" + id}, token)), 403, "scope");
    check_problem(w.ask(w.with({"DELETE", "/v1/commands/" + id}, token)), 403, "scope");
}

TEST_CASE("api: a reply topic needs a scope too", "[bridge][api][access]") {
    GuardedWorld w;
    auto reply =
        w.ask(w.with({"POST", "/v1/request/shop/1?reply=secret/1"}, w.token("publish:shop/#")));
    check_problem(reply, 403, "scope");
    CHECK(reply.text("needs") == "publish:secret/1");
}

TEST_CASE("api: a record says who asked, and from where", "[bridge][api][access]") {
    GuardedWorld w;
    auto reply =
        w.ask(w.with(ApiWorld::order(R"({"do":"unlock"})", "", "k"), w.token("command:unlock")));
    CHECK(reply.text("by") == "user:7777");
    auto lines = w.ask(w.with({"GET", "/v1/audit?device=b42"}, make_api_key(sha256("ops"))));
    CHECK_THAT(lines.response.body, Catch::Contains("\"who\":\"user:7777\""));
    CHECK_THAT(lines.response.body, Catch::Contains("\"address\":\"127.0.0.1:5\""));
}

TEST_CASE("api: who gave an order is told to those who may read devices", "[bridge][api][access]") {
    GuardedWorld w;
    auto order = ApiWorld::order(R"({"do":"unlock","ref":"r1"})");
    auto own = w.ask(w.with(order, w.token("command:unlock")));
    CHECK(own.text("by") == "user:7777");
    auto other = [&](std::string scope) {
        return make_token({"8888", std::move(scope), {}, {}, {}, 60s}, kSecret, w.clock.now.wall);
    };
    auto joined = w.ask(w.with(order, other("command:unlock")));
    CHECK(joined.text("id") == own.text("id"));
    CHECK(joined.text("by") == "somebody");
    CHECK(joined.response.body.find("7777") == std::string::npos);
    CHECK(w.ask(w.with(order, other("command:unlock devices:read"))).text("by") == "user:7777");
}

TEST_CASE("api: an Idempotency-Key is its caller's own", "[bridge][api][access]") {
    GuardedWorld w;
    auto order = ApiWorld::order(R"({"do":"unlock"})", "", "same");
    auto first = w.ask(w.with(order, w.token("command:*")));
    auto again = w.ask(w.with(order, w.token("command:unlock")));  // another token of his
    CHECK(again.text("id") == first.text("id"));
    CHECK(again.header("Idempotent-Replayed") == "true");
    auto other = make_token({"8888", "command:*", {}, {}, {}, 60s}, kSecret, w.clock.now.wall);
    auto foreign = w.ask(w.with(order, other));
    CHECK(foreign.response.status == 202);
    CHECK(foreign.text("id") != first.text("id"));
}

TEST_CASE("api: a caller has his rate, and is told of it", "[bridge][api][access]") {
    GuardedWorld w{{.per_caller = {2, 3}}};
    auto request = w.with({"GET", "/v1/devices/b42"}, w.token("devices:read"));
    auto reply = w.ask(request);
    CHECK(reply.response.status == 200);
    CHECK(reply.header("RateLimit-Policy") == "\"default\";q=3;w=2");
    CHECK(reply.header("RateLimit") == "\"default\";r=2;t=1");
    w.ask(request);
    w.ask(request);
    auto refused = w.ask(request);
    check_problem(refused, 429, "rate");
    CHECK(refused.header("Retry-After") == "1");
    CHECK(refused.header("RateLimit") == "\"default\";r=0;t=2");
    auto key = w.with({"GET", "/v1/devices/b42"}, make_api_key(sha256("ops")));
    CHECK(w.ask(key).response.status == 200);  // another caller
    w.clock.advance(500ms);
    CHECK(w.ask(request).response.status == 200);
    CHECK(w.ask({"GET", "/healthz"}).header("RateLimit").empty());
}

TEST_CASE("api: an address that keeps guessing is slowed down", "[bridge][api][access]") {
    GuardedWorld w{{.per_address = {1, 2}}};
    auto guess = w.with({"GET", "/v1/devices"}, "spoke_guess");
    check_problem(w.ask(guess), 401, "unauthorized");
    guess.address = "127.0.0.1:6";  // another connection of the same address
    check_problem(w.ask(guess), 401, "unauthorized");
    check_problem(w.ask(guess), 429, "rate");
    CHECK(w.ask(w.with({"GET", "/v1/devices"}, w.token("devices:read"))).response.status == 200);
    guess.address = "127.0.0.2:6";
    check_problem(w.ask(guess), 401, "unauthorized");
}

TEST_CASE("api: without keys there is no limit and no credentials are read",
          "[bridge][api][access]") {
    ApiWorld w{{}, {.per_caller = {1, 1}, .per_address = {1, 1}}};
    for (int i = 0; i < 10; ++i) {
        HttpRequest request{"GET", "/v1/devices"};
        request.headers.emplace_back("Authorization", "Bearer anything");
        CHECK(w.ask(request).response.status == 200);
    }
    CHECK(w.get("/metrics").response.status == 200);
}

TEST_CASE("api: no secret in what is measured", "[bridge][api][access]") {
    GuardedWorld w;
    auto token = w.token("admin");
    auto reply = w.ask(w.with({"GET", "/metrics"}, token));
    CHECK(reply.response.status == 200);
    CHECK_THAT(reply.response.body, Catch::Contains("spoke_bridge_http_responses_total"));
    for (auto const& secret : {token, std::string{kSecret}, std::string{"7777"}}) {
        CHECK(reply.response.body.find(secret) == std::string::npos);
    }
}

}  // namespace spoke::bridge::test
