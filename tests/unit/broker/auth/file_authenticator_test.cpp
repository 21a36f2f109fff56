#include "broker/auth/file_authenticator.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <future>
#include <set>

#include "broker/auth/file_authorizer.hpp"
#include "broker/auth/open_files.hpp"
#include "broker/core/session_rights.hpp"
#include "tests/support/scram_client.hpp"
#include "tests/support/temp_folder.hpp"

using namespace spoke;
using namespace spoke::broker;
using mqtt::ReasonCode;

namespace {

std::string password_line(std::string_view user, std::string_view password) {
    Sha512Hash form{"salt", std::string(64, '\0')};
    return fmt::format("{}:{}\n", user, to_text(hash_like(form, password)));
}

std::string scram_line(std::string_view user, std::string_view password) {
    return fmt::format("{}:{}\n", user, to_text(make_scram_verifier(password, "saltsalt", 4096)));
}

/// The verdict, at once or later.
AuthVerdict verdict(Authenticator& authenticator, Credentials credentials) {
    std::promise<AuthVerdict> told;
    auto at_once = authenticator.authenticate(
        std::move(credentials), [&told](AuthVerdict later) { told.set_value(later); });
    return at_once ? *at_once : told.get_future().get();
}

void never_told(AuthVerdict) {
    std::abort();
}

}  // namespace

TEST_CASE("FileAuthenticator: user name and password against the file", "[auth]") {
    test::TempFolder folder;
    auto passwords = open_password_file(folder.write("users", password_line("bob", "open")));
    HashPool pool{{}};
    FileAuthenticator authenticator{{false, passwords.get(), nullptr, &pool}};
    CHECK(verdict(authenticator, {"c", "bob", to_buffer("open")}) == ReasonCode::success);
    for (auto const& bad :
         {Credentials{"c", "bob", to_buffer("shut")}, Credentials{"c", "eve", to_buffer("open")},
          Credentials{"c", "bob", Buffer{}}, Credentials{"c", "bob", std::nullopt},
          Credentials{"bob", std::nullopt, to_buffer("open")},
          Credentials{"c", "", to_buffer("open")}})
        CHECK(verdict(authenticator, bad) == ReasonCode::bad_user_name_or_password);
    CHECK(verdict(authenticator, {"c"}) == ReasonCode::not_authorized);
    CHECK(verdict(authenticator, {"c", "anyone", std::nullopt, true}) == ReasonCode::success);
}

TEST_CASE("FileAuthenticator: anonymous clients are those without a user name", "[auth]") {
    FileAuthenticator authenticator{{true, nullptr, nullptr, nullptr}};
    CHECK(verdict(authenticator, {"c"}) == ReasonCode::success);
    for (auto const& named :
         {Credentials{"c", "bob", std::nullopt}, Credentials{"c", "bob", to_buffer("open")},
          Credentials{"c", std::nullopt, to_buffer("open")}})
        CHECK(verdict(authenticator, named) == ReasonCode::bad_user_name_or_password);
}

TEST_CASE("FileAuthenticator: a full pool makes the server busy", "[auth]") {
    test::TempFolder folder;
    auto passwords = open_password_file(folder.write("users", password_line("bob", "open")));
    HashPool pool{{1, 0}};
    FileAuthenticator authenticator{{false, passwords.get(), nullptr, &pool}};
    auto at_once = authenticator.authenticate({"c", "bob", to_buffer("open")}, never_told);
    CHECK(at_once == ReasonCode::server_busy);
}

TEST_CASE("FileAuthenticator: a reloaded file holds from the next client on", "[auth]") {
    test::TempFolder folder;
    auto passwords = open_password_file(folder.write("users", password_line("bob", "open")));
    HashPool pool{{}};
    FileAuthenticator authenticator{{false, passwords.get(), nullptr, &pool}};
    folder.write("users", password_line("bob", "changed"));
    CHECK(verdict(authenticator, {"c", "bob", to_buffer("open")}) == ReasonCode::success);
    CHECK_FALSE(passwords->reload());
    CHECK(verdict(authenticator, {"c", "bob", to_buffer("changed")}) == ReasonCode::success);
    folder.write("users", "bob\n");
    CHECK(passwords->reload()->text() == (folder / "users") + ":1: no ':' behind the user name");
    CHECK(verdict(authenticator, {"c", "bob", to_buffer("changed")}) == ReasonCode::success);
}

TEST_CASE("FileAuthenticator: SCRAM-SHA-256 if there is a file for it", "[auth][scram]") {
    test::TempFolder folder;
    auto scram = open_scram_file(folder.write("scram", scram_line("bob", "open")));
    FileAuthenticator authenticator{{false, nullptr, scram.get(), nullptr}};
    CHECK_FALSE(authenticator.begin("SCRAM-SHA-1"));
    CHECK_FALSE(authenticator.begin(""));
    CHECK_FALSE(FileAuthenticator{{}}.begin("SCRAM-SHA-256"));

    std::set<std::string> challenges;
    for (auto const* password : {"open", "shut"}) {
        test::ScramClient client{"bob", password};
        auto exchange = authenticator.begin("SCRAM-SHA-256");
        REQUIRE(exchange);
        auto step = exchange->step(as_bytes(client.first()));
        REQUIRE(step.kind == AuthExchange::Step::Kind::go_on);
        challenges.emplace(as_text(step.data));
        step = exchange->step(as_bytes(client.final(as_text(step.data))));
        auto is_right = password == std::string_view{"open"};
        CHECK(step.kind ==
              (is_right ? AuthExchange::Step::Kind::accepted : AuthExchange::Step::Kind::refused));
        CHECK(client.trusts(as_text(step.data)) == is_right);
        CHECK(step.why.empty() == is_right);
        CHECK(exchange->user_name() == "bob");
    }
    CHECK(challenges.size() == 2);
    CHECK(authenticator.begin("SCRAM-SHA-256")->step({}).kind == AuthExchange::Step::Kind::refused);
}

TEST_CASE("FileAuthorizer: rights change with the file, a bad file changes nothing",
          "[auth][acl]") {
    test::TempFolder folder;
    auto rules = open_acl_file(folder.write("acl", "user bob\ntopic read a/#\n"));
    FileAuthorizer authorizer{*rules};
    SessionRights rights{authorizer, "bob"};
    CHECK(rights.access("c").may_receive("a/1"));
    CHECK_FALSE(rights.access("c").may_publish("a/1"));
    CHECK_FALSE(authorizer.access_of("c", std::nullopt)->may_receive("a/1"));

    folder.write("acl", "topic nonsense #\n");
    CHECK(rules->reload());
    CHECK(rights.access("c").may_receive("a/1"));

    folder.write("acl", "user bob\ntopic write a/#\n");
    auto before = authorizer.generation();
    CHECK_FALSE(rules->reload());
    CHECK(authorizer.generation() != before);
    CHECK_FALSE(rights.access("c").may_receive("a/1"));
    CHECK(rights.access("c").may_publish("a/1"));
}

TEST_CASE("User files: the first reading must succeed", "[auth]") {
    test::TempFolder folder;
    auto bad = folder.write("bad", "x\n");
    CHECK_THROWS_WITH(open_password_file(bad), bad + ":1: no ':' behind the user name");
    CHECK_THROWS_WITH(open_scram_file(bad), bad + ":1: no ':' behind the user name");
    CHECK_THROWS_WITH(open_acl_file(bad),
                      bad + ":1: unknown word 'x'; expected user, topic or pattern");
    CHECK_THROWS_WITH(open_acl_file(bad, {1, 9}), bad + ": is larger than 1 bytes");
}
