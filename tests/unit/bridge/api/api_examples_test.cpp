#include <algorithm>
#include <regex>

#include "bridge/api/static_files.hpp"
#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {
namespace {

Api::Settings with_examples() {
    Api::Settings settings;
    settings.examples = true;
    return settings;
}

}  // namespace

TEST_CASE("examples: they are there if the option says so", "[bridge][api]") {
    ApiWorld without;
    check_problem(without.get("/examples/"), 404, "no-such-path");
    check_problem(without.get("/examples"), 404, "no-such-path");
    ApiWorld w{{}, with_examples()};
    CHECK(w.get("/examples/").response.status == 200);
    auto reply = w.get("/examples");
    CHECK(reply.response.status == 308);
    CHECK(reply.header("Location") == "/examples/");
}

TEST_CASE("examples: nobody needs a key for them", "[bridge][api]") {
    KeyMaterial keys;
    keys.api_keys.emplace_back();
    ApiWorld w{std::move(keys), with_examples()};
    CHECK(w.get("/v1/devices").response.status == 401);
    CHECK(w.get("/examples/index.html").response.status == 200);
}

TEST_CASE("examples: every file is served as what it is", "[bridge][api]") {
    ApiWorld w{{}, with_examples()};
    REQUIRE(example_files().size() > 2);
    for (auto const& file : example_files()) {
        INFO(file.path);
        auto reply = w.get("/examples/" + std::string{file.path});
        CHECK(reply.response.status == 200);
        CHECK(reply.response.body == file.body);
        CHECK_FALSE(file.body.empty());
        CHECK(reply.response.content_type == file.content_type);
        CHECK(reply.header("X-Content-Type-Options") == "nosniff");
        auto policy = reply.header("Content-Security-Policy");
        CHECK_THAT(policy, Catch::StartsWith("default-src 'none'; script-src 'self';"));
        CHECK_THAT(policy, !Catch::Contains("unsafe"));
        auto is_page = file.path.ends_with(".html");
        CHECK(is_page == file.content_type.starts_with("text/html"));
        if (file.path.ends_with(".js")) {
            CHECK(file.content_type == "text/javascript; charset=utf-8");
        }
    }
}

TEST_CASE("examples: a page has nothing inline, which its policy would forbid", "[bridge][api]") {
    for (auto const& file : example_files()) {
        if (!file.path.ends_with(".html")) continue;
        INFO(file.path);
        CHECK_THAT(std::string{file.body}, Catch::Contains("<!doctype html>"));
        for (auto const* inlined : {"<style", " style=", " onclick=", "<script>", "javascript:"}) {
            CHECK_THAT(std::string{file.body}, !Catch::Contains(inlined));
        }
    }
}

TEST_CASE("examples: what a page or module names is there", "[bridge][api]") {
    std::regex const named{R"re((?:href|src)="([\w./-]+)"|from "\./([\w.-]+)")re"};
    for (auto const& file : example_files()) {
        std::string text{file.body};
        for (std::sregex_iterator it{text.begin(), text.end(), named}, end; it != end; ++it) {
            auto name = (*it)[1].matched ? (*it)[1].str() : (*it)[2].str();
            INFO(file.path << " names " << name);
            if (name == "./") name = "index.html";
            CHECK(std::ranges::find(example_files(), name, &StaticFile::path) !=
                  example_files().end());
        }
    }
}

TEST_CASE("examples: an unchanged file is not sent again", "[bridge][api]") {
    ApiWorld w{{}, with_examples()};
    auto tag = w.get("/examples/style.css").header("ETag");
    REQUIRE(tag.size() == 18);
    for (auto const& [known, status] :
         {std::pair{tag, 304U}, {"\"0\", W/" + tag, 304U}, {"\"0\"", 200U}}) {
        INFO(known);
        HttpRequest request{"GET", "/examples/style.css"};
        request.headers.emplace_back("If-None-Match", known);
        auto reply = w.ask(request);
        CHECK(reply.response.status == status);
        CHECK(reply.response.body.empty() == (status == 304));
        CHECK(reply.header("ETag") == tag);
        CHECK(reply.header("Cache-Control") == "no-cache");
    }
    auto page = w.get("/examples/index.html").header("ETag");
    CHECK(page != tag);
}

TEST_CASE("examples: a path leads nowhere but to a file there is", "[bridge][api]") {
    ApiWorld w{{}, with_examples()};
    for (auto const* path :
         {"/examples/no.html", "/examples/../bridge.db", "/examples/%2e%2e/%2e%2e/etc/passwd",
          "/examples//index.html", "/examples/index.html/", "/examples/./index.html",
          "/examples/INDEX.HTML", "/examples/%2fetc%2fpasswd", "/examples/index.html%20"}) {
        INFO(path);
        check_problem(w.get(path), 404, "no-such-path");
    }
    CHECK(w.get("/examples/index.html%00").response.status == 400);
}

}  // namespace spoke::bridge::test
