#include <argon2.h>
#include <time.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>
#include <string>

#include "broker/auth/password_file.hpp"
#include "broker/auth/secret.hpp"
#include "broker/auth/user_table.hpp"
#include "protocol/base/base64.hpp"
#include "tests/support/temp_folder.hpp"

using namespace spoke;
using namespace spoke::broker;

namespace {

// Written by mosquitto_passwd 2.0.11 and by the argon2 program of Debian 12, for "open sesame".
constexpr std::string_view kPbkdf2 =
    "$7$101$0aFgYOesYUBC8cmA$/mTxp5wD6f0nJWZT5WO9Ak9kHQjrKvpKejc3tmNhcESFOFmKGWRRKGyHjVB423vU9HiZ"
    "6cvried38SZPlGvIRw==";
constexpr std::string_view kSha512 =
    "$6$Jk65mbvR46BW0mh6$HP6qTpFXQLntojhxoevlRV/1j3WviGlMd/0TKXvBFmGbPQJS3Q9YG3gjxfhpsGeP264XOm6wd"
    "QUv0wnJCkkpdA==";
constexpr std::string_view kArgon2id =
    "$argon2id$v=19$m=1024,t=2,p=2$c2FsdHNhbHQ$h3pB8L4SiZCHbvvC16yd8StmD66yCLOTlN/ClZK5W04";

PasswordHash hash_of(std::string_view text) {
    auto hash = parse_password_hash(text);
    if (!hash) FAIL(std::string{hash.error().reason});
    return std::move(*hash);
}

std::string refusal(std::string_view text, HashLimits const& limits = {}) {
    auto hash = parse_password_hash(text, limits);
    return hash ? "none" : std::string{hash.error().reason};
}

PasswordFile file_of(std::string_view text) {
    auto file = PasswordFile::parse(text, "users");
    if (!file) FAIL(file.error().text());
    return std::move(*file);
}

std::string argon2id(std::string_view cost) {
    return "$argon2id$v=19$" + std::string{cost} +
           "$c2FsdHNhbHQ$h3pB8L4SiZCHbvvC16yd8StmD66yCLOTlN/ClZK5W04";
}

}  // namespace

TEST_CASE("Password hash: fits its password alone", "[auth]") {
    for (auto text : {kPbkdf2, kSha512, kArgon2id}) {
        CAPTURE(text);
        auto hash = hash_of(text);
        CHECK(matches(hash, "open sesame"));
        for (auto const* wrong : {"", "open sesam", "open sesame ", "Open sesame"})
            CHECK_FALSE(matches(hash, wrong));
        CHECK(to_text(hash) == text);
    }
}

TEST_CASE("Password hash: one bit of salt or hash decides", "[auth]") {
    for (auto text : {kPbkdf2, kSha512, kArgon2id}) {
        std::visit(
            [](auto form) {
                for (auto at : {std::size_t{0}, form.hash.size() / 2, form.hash.size() - 1}) {
                    auto changed = form;
                    changed.hash[at] = static_cast<char>(changed.hash[at] ^ 1);
                    CHECK_FALSE(matches(changed, "open sesame"));
                }
                form.salt[0] = static_cast<char>(form.salt[0] ^ 1);
                CHECK_FALSE(matches(form, "open sesame"));
            },
            hash_of(text));
    }
}

TEST_CASE("Password hash: any bytes make a password", "[auth]") {
    for (auto text : {kPbkdf2, kSha512, kArgon2id}) {
        for (auto const& password : {std::string{}, std::string("a\0b", 3), std::string("\xFF\xFE"),
                                     std::string(65'535, 'p')}) {
            auto hash = hash_like(hash_of(text), password);
            CHECK(matches(hash_of(to_text(hash)), password));
            CHECK_FALSE(matches(hash, password + "x"));
            CHECK_FALSE(matches(hash, std::string("a\0c", 3)));
        }
    }
}

TEST_CASE("Password hash: argon2id is that of libargon2, whatever the lanes", "[auth]") {
    for (std::uint32_t lanes : {1U, 2U, 4U}) {
        Argon2idHash form{8 * lanes + 32, 3, lanes, "a salt of bytes", std::string(32, '\0')};
        auto text = to_text(hash_like(form, "open sesame"));
        CHECK(argon2id_verify(text.c_str(), "open sesame", 11) == ARGON2_OK);
        CHECK(argon2id_verify(text.c_str(), "open sesam", 10) == ARGON2_VERIFY_MISMATCH);

        char encoded[200];
        REQUIRE(argon2id_hash_encoded(2, 64, lanes, "pw", 2, "another salt", 12, 24, encoded,
                                      sizeof encoded) == ARGON2_OK);
        CHECK(matches(hash_of(encoded), "pw"));
        CHECK_FALSE(matches(hash_of(encoded), "px"));
    }
}

TEST_CASE("Password hash: what is none is refused with the reason", "[auth]") {
    auto hash = to_base64(std::string(64, 'h'));
    CHECK(refusal("") == "the hash does not begin with $");
    CHECK(refusal("plain") == "the hash does not begin with $");
    CHECK(refusal("x$6$YQ==$" + hash) == "the hash does not begin with $");
    auto unknown = "unknown kind of hash; known are $6$, $7$ and $argon2id$";
    for (auto const* text :
         {"$", "$$", "$1$a$b", "$5$a$b", "$argon2i$v=19$m=8,t=1,p=1$a$b", "$66$"})
        CHECK(refusal(text) == unknown);
    CHECK(refusal("$6$YQ==$" + hash) == "none");
    CHECK(refusal("$6$YQ==$" + hash + "$") == "expected $6$SALT$HASH");
    CHECK(refusal("$6$YQ==") == "expected $6$SALT$HASH");
    CHECK(refusal("$6$$" + hash) == "the salt is not 1 to 64 bytes in base64");
    CHECK(refusal("$6$Y$" + hash) == "the salt is not 1 to 64 bytes in base64");
    CHECK(refusal("$6$" + to_base64(std::string(64, 's')) + "$" + hash) == "none");
    CHECK(refusal("$6$" + to_base64(std::string(65, 's')) + "$" + hash) ==
          "the salt is not 1 to 64 bytes in base64");
    for (auto const& bad : {std::string{}, std::string{"?"}, to_base64(std::string(63, 'h')),
                            to_base64(std::string(65, 'h')), hash + " "}) {
        CHECK(refusal("$6$YQ==$" + bad) == "the hash is not 64 bytes in base64");
        CHECK(refusal("$7$1$YQ==$" + bad) == "the hash is not 64 bytes in base64");
    }
    CHECK(refusal("$7$1$YQ==$" + hash) == "none");
    CHECK(refusal("$7$YQ==$" + hash) == "expected $7$ITERATIONS$SALT$HASH");
    for (auto const* bad : {"", "0", "-1", "1x", "+1", " 1", "4294967296"})
        CHECK(refusal("$7$" + std::string{bad} + "$YQ==$" + hash) ==
              "the iterations are not a number above 0");
}

TEST_CASE("Password hash: argon2id texts that libargon2 does not write are refused", "[auth]") {
    auto form = "expected $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH";
    CHECK(refusal(argon2id("m=8,t=1,p=1")) == "none");
    CHECK(refusal("$argon2id$v=16$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA") == form);
    CHECK(refusal("$argon2id$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA") == form);
    CHECK(refusal("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ") == form);
    for (auto const* cost : {"", "m=8,t=1", "t=1,m=8,p=1", "m=8,t=1,p=1,x=1"})
        CHECK(refusal(argon2id(cost)).starts_with("expected m=KIB,t=PASSES,p=LANES"));
    for (auto const* cost : {"m=x,t=1,p=1", "m=8,t=0,p=1", "m=8,t=1,p=0", "m=8,t=-1,p=1"})
        CHECK(refusal(argon2id(cost)) == "expected m=KIB,t=PASSES,p=LANES with numbers above 0");
    CHECK(refusal(argon2id("m=7,t=1,p=1")) == "less than 8 KiB of memory for a lane");
    CHECK(refusal(argon2id("m=15,t=1,p=2")) == "less than 8 KiB of memory for a lane");
    auto start = std::string{"$argon2id$v=19$m=8,t=1,p=1$"};
    auto hash = to_base64(std::string(16, 'h'), Base64Padding::without);
    CHECK(refusal(start + "c2FsdHNhbHQ$" + hash) == "none");
    for (auto const* salt : {"", "c2FsdHNhbA", "c2FsdHNhbHQ=", "?"})
        CHECK(refusal(start + salt + "$" + hash) ==
              "the salt is not 8 to 64 bytes in base64 without padding");
    for (auto size : {15U, 65U})
        CHECK(refusal(start + "c2FsdHNhbHQ$" +
                      to_base64(std::string(size, 'h'), Base64Padding::without)) ==
              "the hash is not 16 to 64 bytes in base64 without padding");
}

TEST_CASE("Password hash: what a check may cost is limited, at the edge", "[auth]") {
    HashLimits limits{1000, 64, 3, 2};
    auto pbkdf2 = [](std::string_view iterations) {
        return "$7$" + std::string{iterations} + "$YQ==$" + to_base64(std::string(64, 'h'));
    };
    CHECK(refusal(pbkdf2("1000"), limits) == "none");
    CHECK(refusal(pbkdf2("1001"), limits) == "more iterations than are accepted");
    CHECK(refusal(argon2id("m=64,t=3,p=2"), limits) == "none");
    CHECK(refusal(argon2id("m=65,t=3,p=2"), limits) == "more memory than is accepted");
    CHECK(refusal(argon2id("m=64,t=4,p=2"), limits) == "more passes than are accepted");
    CHECK(refusal(argon2id("m=64,t=3,p=3"), limits) == "more lanes than are accepted");
    CHECK(refusal(argon2id("m=4294967295,t=1,p=1")) == "more memory than is accepted");
    CHECK(refusal(argon2id("m=4294967295,t=1,p=4294967295")) == "more lanes than are accepted");
}

TEST_CASE("Password file: accepts its users with their passwords", "[auth]") {
    auto file = file_of("# users\n\nbob:" + std::string{kPbkdf2} +
                        "\r\nBob:" + std::string{kSha512} + "\na b:" + std::string{kArgon2id});
    CHECK(file.users() == 3);
    for (auto const* user : {"bob", "Bob", "a b"}) {
        CHECK(file.accepts(user, "open sesame"));
        CHECK_FALSE(file.accepts(user, "open"));
        CHECK_FALSE(file.accepts(user, ""));
    }
    for (auto const* user : {"", "bo", "bob ", "# users", "eve"})
        CHECK_FALSE(file.accepts(user, "open sesame"));
    CHECK_FALSE(file_of("").accepts("bob", "open sesame"));
}

TEST_CASE("Password file: an unknown user costs as much as a wrong password", "[auth]") {
    auto cost = [](PasswordFile const& file, std::string_view user) {
        auto now = [] {
            timespec time{};
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
            return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
        };
        auto begin = now();
        CHECK_FALSE(file.accepts(user, "wrong"));
        return now() - begin;
    };
    Pbkdf2Hash slow{50'000, "salt", std::string(64, 'h')};
    Argon2idHash large{8 << 10, 2, 1, "saltsalt", std::string(32, 'h')};
    for (auto const& text : {to_text(slow), to_text(large)}) {
        auto file = file_of("bob:" + text);
        auto known = cost(file, "bob");
        auto unknown = cost(file, "eve");
        CHECK(unknown > known / 3);
        CHECK(unknown < known * 3);
    }
}

TEST_CASE("User table: a stand-in is some user's value, for one name always the same", "[auth]") {
    UserTable<int> table;
    CHECK(table.stand_in("eve") == nullptr);
    for (auto value = 0; value < 4; ++value)
        REQUIRE(table.add("user" + std::to_string(value), value));
    CHECK_FALSE(table.add("user2", 7));
    CHECK(table.size() == 4);
    CHECK(*table.find("user2") == 2);
    CHECK(table.find("eve") == nullptr);
    std::set<int> taken;
    for (auto i = 0; i < 200; ++i) {
        auto name = "eve" + std::to_string(i);
        auto const* value = table.stand_in(name);
        CHECK(value == table.stand_in(name));
        taken.insert(*value);
    }
    CHECK(taken.size() == 4);
}

TEST_CASE("Password file: a bad line rejects the file and is named", "[auth]") {
    auto error = [](std::string_view text, PasswordLimits const& limits = {}) {
        auto file = PasswordFile::parse(text, "users", limits);
        return file ? "none" : file.error().text();
    };
    auto bob = "bob:" + std::string{kSha512} + "\n";
    CHECK(error(bob + "amy\n") == "users:2: no ':' behind the user name");
    CHECK(error(bob + "\n:" + std::string{kSha512}) == "users:3: no user name before ':'");
    CHECK(error("amy:secret") == "users:1: user 'amy': the hash does not begin with $");
    CHECK(error("a\x1B[m:x") == "users:1: user 'a\\x1B[m': the hash does not begin with $");
    CHECK(error(bob + bob) == "users:2: user 'bob': is there twice");
    CHECK(error("amy:" + argon2id("m=1024,t=2,p=2") + "\n", {1000, 9, {9, 1024, 2, 2}}) == "none");
    CHECK(error("amy:" + argon2id("m=1024,t=2,p=2") + "\n", {1000, 9, {9, 1023, 2, 2}}) ==
          "users:1: user 'amy': more memory than is accepted");
    CHECK(error(bob, {bob.size(), 1, {}}) == "none");
    CHECK(error(bob, {bob.size() - 1, 1, {}}) ==
          "users: is larger than " + std::to_string(bob.size() - 1) + " bytes");
    CHECK(error(bob + "amy:" + std::string{kSha512}, {1000, 1, {}}) ==
          "users:2: more than 1 users");
}

TEST_CASE("Password file: takes what mosquitto_passwd writes", "[auth]") {
    if (std::system("command -v mosquitto_passwd >/dev/null") != 0) {
        WARN("mosquitto_passwd is not installed");
        return;
    }
    test::TempFolder folder;
    auto path = folder / "users";
    auto tool = [&path](std::string const& before, std::string const& after) {
        auto command = "mosquitto_passwd " + before + " '" + path + "' " + after + " 2>/dev/null";
        return std::system(command.c_str()) == 0;
    };
    auto file = [&folder] { return file_of(folder.read("users")); };
    REQUIRE(tool("-c -b", "bob 'open sesame'"));
    REQUIRE(tool("-H sha512 -b", "'a b' old"));
    CHECK(file().users() == 2);
    CHECK(file().accepts("bob", "open sesame"));
    CHECK_FALSE(file().accepts("bob", "old"));
    CHECK(file().accepts("a b", "old"));
    REQUIRE(tool("-b", "bob 'close sesame'"));
    CHECK(file().accepts("bob", "close sesame"));
    CHECK_FALSE(file().accepts("bob", "open sesame"));
    REQUIRE(tool("-D", "bob"));
    CHECK(file().users() == 1);
    CHECK_FALSE(file().accepts("bob", "close sesame"));
}

TEST_CASE("Secret: keeps its text and gives it away when moved", "[auth]") {
    Secret secret{std::string_view{"a\0b", 3}};
    CHECK(secret.view() == std::string_view{"a\0b", 3});
    auto moved = std::move(secret);
    CHECK(moved.view().size() == 3);
    moved = Secret{"other"};
    CHECK(moved.view() == "other");
    CHECK(Secret{}.view().empty());
}
