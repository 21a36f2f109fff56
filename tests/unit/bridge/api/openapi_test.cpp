#include "bridge/api/openapi.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <set>

#include "bridge/api/api.hpp"

namespace spoke::bridge::test {
namespace {

namespace json = boost::json;

std::string upper(std::string_view text) {
    std::string out;
    for (char c : text) out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return out;
}

/// "/v1/publish/{topic...}" as the document writes it.
std::string path_of(std::string_view pattern) {
    std::string out{pattern};
    auto dots = out.find("...}");
    return dots == std::string::npos ? out : out.replace(dots, 4, "}");
}

std::string scope_of(Right right) {
    switch (right) {
        case Right::none:
            return "";
        case Right::devices_read:
            return "devices:read";
        case Right::devices_write:
            return "devices:write";
        case Right::command:
            return "command:<verb>";
        case Right::events:
            return "events:<filter>";
        case Right::publish:
            return "publish:<filter>";
        case Right::inbox:
            return "inbox:<who>";
        case Right::inbox_write:
            return "inbox:write";
        case Right::anybody:
            return "(any)";
        case Right::audit:
            return "audit";
        case Right::admin:
            return "admin";
    }
    return "?";
}

json::object document() {
    return json::parse(openapi_document()).as_object();
}

/// The scope that the document asks for; empty if the operation is open.
std::string scope_in(json::object const& operation) {
    auto const& security = operation.at("security").as_array();
    if (security.empty()) return "";
    auto token = security.at(0).at("token").as_array();
    CHECK(security.at(1).at("apiKey").as_array() == token);
    if (security.size() == 3) CHECK(security[2].at("shortToken").as_array() == token);
    if (token.empty()) return "(any)";
    return std::string{std::string_view{token.at(0).as_string()}};
}

}  // namespace

TEST_CASE("openapi: every route is in it with its scope, and nothing else", "[bridge][api]") {
    std::set<std::string> described;
    auto root = document();
    auto const& paths = root.at("paths").as_object();
    for (auto const& [path, methods] : paths) {
        for (auto const& [method, operation] : methods.as_object()) {
            described.insert(upper(method) + " " + std::string{std::string_view{path}} + " " +
                             scope_in(operation.as_object()));
        }
    }
    std::set<std::string> routed;
    for (auto const& route : Api::route_names()) {
        routed.insert(std::string{route.method} + " " + path_of(route.pattern) + " " +
                      scope_of(route.right));
    }
    CHECK(described == routed);
}

TEST_CASE("openapi: the routes that take ?token= say so, and no others", "[bridge][api]") {
    auto root = document();
    auto const& paths = root.at("paths").as_object();
    auto taking = 0;
    for (auto const& route : Api::route_names()) {
        auto method = std::string{route.method};
        for (auto& c : method) c = static_cast<char>(c - 'A' + 'a');
        auto const& operation = paths.at(path_of(route.pattern)).at(method);
        auto says = operation.at("security").as_array().size() == 3;
        CHECK(says == route.takes_token);
        if (says) ++taking;
    }
    CHECK(taking >= 2);
}

TEST_CASE("openapi: every problem type is in it, and no other", "[bridge][api]") {
    std::set<std::string> described;
    auto root = document();
    for (auto const& [name, response] : root.at("components").at("responses").as_object()) {
        auto const& schema = response.at("content").at("application/problem+json").at("schema");
        auto const& types =
            schema.at("allOf").as_array()[1].at("properties").at("type").at("enum").as_array();
        for (auto const& type : types) {
            described.insert(std::string{std::string_view{type.as_string()}});
        }
    }
    std::set<std::string> known;
    for (auto const& type : problem_types()) known.insert("/problems/" + std::string{type.name});
    known.erase("/problems/method");  // 405: said once, for all paths
    CHECK(described == known);
}

}  // namespace spoke::bridge::test
