#include "broker/auth/scram.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "tests/support/scram_client.hpp"
#include "tests/support/seed.hpp"

using namespace spoke;
using namespace spoke::broker;
using Verdict = ScramExchange::Verdict;

namespace {

constexpr std::string_view kSecret = "0123456789abcdef";

std::shared_ptr<ScramFile const> users(std::string_view text) {
    auto file = ScramFile::parse(text, "scram.users", kSecret);
    if (!file) FAIL(file.error().text());
    return std::make_shared<ScramFile const>(std::move(*file));
}

std::string line(std::string_view user, std::string_view password) {
    return fmt::format(
        "{}:{}\n", user,
        to_text(make_scram_verifier(password, "salt of " + std::string{user}, 4096)));
}

/// bob's password is "open"; the name of the other one needs encoding.
std::shared_ptr<ScramFile const> const& two_users() {
    static auto const file = users(line("bob", "open") + line("a,b=c", "open"));
    return file;
}

ScramExchange exchange() {
    return {two_users(), "3rfcNHYJY1ZVvWVs7j"};
}

/// The reason why a message is refused at its turn; empty if it is not.
std::string_view refusal(std::string_view message) {
    auto server = exchange();
    auto step = server.step(message);
    if (step.verdict != Verdict::refused) return {};
    CHECK(step.data.empty());
    CHECK_FALSE(step.reason.empty());
    CHECK(server.step("n,,n=bob,r=x").reason == "the exchange has ended");
    return step.reason;
}

std::string_view refusal_of_final(std::string_view message) {
    auto server = exchange();
    REQUIRE(server.step("n,,n=bob,r=fyko").verdict == Verdict::proceed);
    auto step = server.step(message);
    return step.verdict == Verdict::refused ? step.reason : std::string_view{};
}

}  // namespace

TEST_CASE("SCRAM: the example of RFC 7677", "[scram]") {
    auto verifier =
        make_scram_verifier("pencil", from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").value(), 4096);
    ScramExchange server{users("user:" + to_text(verifier)), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"};
    auto first = server.step("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    CHECK(first.verdict == Verdict::proceed);
    CHECK(first.data ==
          "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    auto last = server.step(
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    CHECK(last.verdict == Verdict::accepted);
    CHECK(last.data == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    CHECK(server.user() == "user");

    test::ScramClient client{"user", "pencil", "rOprNGfwEbeRWgbNEkqO"};
    CHECK(client.first() == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    CHECK(client.final(first.data).ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    CHECK(client.trusts(last.data));
}

TEST_CASE("SCRAM: the right password is accepted, and the server proves itself", "[scram]") {
    struct Case {
        std::string user;
        std::string header;
        std::string extensions;
    };
    for (auto const& [user, header, extensions] :
         {Case{"bob", "n,,", ""}, Case{"bob", "y,,", ""}, Case{"bob", "n,a=bob,", ""},
          Case{"bob", "n,,", ",x=1,Y==,="}, Case{"a,b=c", "n,,", ""},
          Case{"a,b=c", "y,a=a=2Cb=3Dc,", ""}}) {
        CAPTURE(user, header, extensions);
        test::ScramClient client{user, "open"};
        client.gs2_header = header;
        client.extensions = extensions;
        auto server = exchange();
        auto first = server.step(client.first());
        REQUIRE(first.verdict == Verdict::proceed);
        CHECK(server.user() == user);
        auto last = server.step(client.final(first.data));
        // ",=" is an attribute without a name.
        if (extensions.ends_with(",=")) {
            CHECK(last.reason == "client-final has an extension without form");
            continue;
        }
        REQUIRE(last.verdict == Verdict::accepted);
        CHECK(client.trusts(last.data));
        CHECK(server.step(client.first()).verdict == Verdict::refused);
    }
}

TEST_CASE("SCRAM: wrong passwords and unknown users are refused with the same words", "[scram]") {
    for (auto const* user : {"bob", "eve"}) {
        test::ScramClient client{user, "wrong"};
        auto server = exchange();
        auto step = server.step(client.first());
        REQUIRE(step.verdict == Verdict::proceed);
        step = server.step(client.final(step.data));
        CHECK(step.verdict == Verdict::refused);
        CHECK(step.reason == "unknown user or wrong password");
        CHECK(step.data.empty());
        CHECK(server.step(client.first()).verdict == Verdict::refused);
    }
}

TEST_CASE("SCRAM: the challenge does not tell unknown users from known ones", "[scram]") {
    auto salt_of = [](std::string_view user) { return two_users()->find(user).verifier.salt; };
    auto known = two_users()->find("bob");
    CHECK(known.is_known);
    std::set<std::string> salts;
    for (auto i = 0; i < 100; ++i) {
        auto user = "eve" + std::to_string(i);
        auto unknown = two_users()->find(user);
        CHECK_FALSE(unknown.is_known);
        CHECK(unknown.verifier.iterations == 4096);
        auto size = unknown.verifier.salt.size();
        CHECK((size == salt_of("bob").size() || size == salt_of("a,b=c").size()));
        CHECK(salt_of(user) == unknown.verifier.salt);
        salts.insert(unknown.verifier.salt);
    }
    CHECK(salts.size() == 100);
    auto other = ScramFile::parse(line("bob", "open"), "scram.users", "fedcba9876543210");
    CHECK(other->find("eve0").verifier.salt != salt_of("eve0"));
    auto empty = ScramFile::parse("", "scram.users", kSecret);
    CHECK(empty->find("eve").verifier.iterations == 4096);
    CHECK(empty->find("eve").verifier.salt.size() == 16);
    CHECK_FALSE(empty->find("eve").is_known);
}

TEST_CASE("SCRAM: client-first that is malformed is refused", "[scram]") {
    CHECK(refusal("") == "client-first does not begin with n, or y,");
    CHECK(refusal("x,,n=bob,r=fyko") == "client-first does not begin with n, or y,");
    CHECK(refusal("p=tls-unique,,n=bob,r=fyko") == "channel binding is not offered");
    CHECK(refusal("n,") == "client-first has no whole header");
    CHECK(refusal("n,n=bob,r=fyko") == "client-first has no whole header");
    CHECK(refusal("n,,") == "client-first has no user name");
    CHECK(refusal("n,a=bob") == "client-first has no user name");
    CHECK(refusal("n,,r=fyko,n=bob") == "client-first has no user name");
    CHECK(refusal("n,,m=1,n=bob,r=fyko") == "client-first demands an extension that is not known");
    CHECK(refusal("n,,n=bob") == "client-first has no valid nonce");
    CHECK(refusal("n,,n=bob,r=") == "client-first has no valid nonce");
    CHECK(refusal("n,,n=bob,r=a b") == "client-first has no valid nonce");
    CHECK(refusal("n,,n=bob,r=a\x7F") == "client-first has no valid nonce");
    CHECK(refusal("n,,n=bob,r=\xC3\xA4") == "client-first has no valid nonce");
    CHECK(refusal("n,,n=bob,r=fyko,") == "client-first has an extension without form");
    CHECK(refusal("n,,n=bob,r=fyko,1=x") == "client-first has an extension without form");
    CHECK(refusal("n,,n=bob,r=fyko,x=") == "client-first has an extension without form");
    CHECK(refusal("n,,n=,r=fyko") == "the user name is not a prepared one");
    CHECK(refusal("n,,n=b=ob,r=fyko") == "the user name is not a prepared one");
    CHECK(refusal("n,,n=bob=2,r=fyko") == "the user name is not a prepared one");
    CHECK(refusal("n,,n=b\nob,r=fyko") == "the user name is not a prepared one");
    CHECK(refusal("n,,n=\xC2\xAD,r=fyko") == "the user name is not a prepared one");
    CHECK(refusal("n,,n=\xFF,r=fyko") == "the message is not UTF-8");
    CHECK(refusal(std::string_view{"n,,n=b\0b,r=fyko", 15}) == "the message is not UTF-8");
    CHECK(refusal("n,a=eve,n=bob,r=fyko") == "the client asks to act as somebody else");
    CHECK(refusal("n,a=bo=3,n=bob,r=fyko") == "the client asks to act as somebody else");
    CHECK(refusal("n,,n=bob,r=fyko,x=1").empty());
}

TEST_CASE("SCRAM: lengths are limited, at their edge", "[scram]") {
    std::string nonce(ScramExchange::kNonceSizeMax, 'r');
    CHECK(refusal("n,,n=bob,r=" + nonce).empty());
    CHECK(refusal("n,,n=bob,r=" + nonce + "r") == "client-first has no valid nonce");
    std::string start = "n,,n=bob,r=x,x=";
    auto room = ScramExchange::kMessageSizeMax - start.size();
    CHECK(refusal(start + std::string(room, 'x')).empty());
    CHECK(refusal(start + std::string(room + 1, 'x')) == "the message is too long");
}

TEST_CASE("SCRAM: client-final that is malformed is refused", "[scram]") {
    auto proof = to_base64(std::string(32, 'p'));
    auto whole = "c=biws,r=fyko3rfcNHYJY1ZVvWVs7j,p=" + proof;
    CHECK(refusal_of_final(whole) == "unknown user or wrong password");
    CHECK(refusal_of_final("") == "client-final has no channel data or no nonce");
    CHECK(refusal_of_final("c=biws") == "client-final has no channel data or no nonce");
    CHECK(refusal_of_final("r=fyko3rfcNHYJY1ZVvWVs7j,c=biws,p=" + proof) ==
          "client-final has no channel data or no nonce");
    CHECK(refusal_of_final("c=biws,r=fyko3rfcNHYJY1ZVvWVs7j") == "client-final has no proof");
    CHECK(refusal_of_final("c=biws,r=fyko3rfcNHYJY1ZVvWVs7j,x=1") == "client-final has no proof");
    CHECK(refusal_of_final("c=biws,r=fyko3rfcNHYJY1ZVvWVs7j,,p=" + proof) ==
          "client-final has an extension without form");
    CHECK(refusal_of_final(whole + ",x=1") == "client-final goes on behind the proof");
    CHECK(refusal_of_final("c=eSws,r=fyko3rfcNHYJY1ZVvWVs7j,p=" + proof) ==
          "the channel data do not fit");
    for (auto const* nonce : {"fyko", "3rfcNHYJY1ZVvWVs7j", "fyko3rfcNHYJY1ZVvWVs7jx", ""}) {
        CHECK(refusal_of_final("c=biws,r=" + std::string{nonce} + ",p=" + proof) ==
              "the nonce is not the one that was sent");
    }
    for (auto const& bad : {std::string{}, std::string{"p"}, to_base64(std::string(31, 'p')),
                            to_base64(std::string(33, 'p')), proof + "=", proof.substr(1)}) {
        CHECK(refusal_of_final("c=biws,r=fyko3rfcNHYJY1ZVvWVs7j,p=" + bad) ==
              "the proof is not 32 bytes in base64");
    }
}

TEST_CASE("SCRAM: a proof is of no use in another exchange, nor with anything changed", "[scram]") {
    test::ScramClient client{"bob", "open"};
    auto server = exchange();
    auto final = client.final(server.step(client.first()).data);

    ScramExchange later{two_users(), "another"};
    REQUIRE(later.step(client.first()).verdict == Verdict::proceed);
    CHECK(later.step(final).verdict == Verdict::refused);

    for (std::size_t at = 0; at < final.size(); ++at) {
        auto changed = final;
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        auto again = exchange();
        REQUIRE(again.step(client.first()).verdict == Verdict::proceed);
        CHECK(again.step(changed).verdict == Verdict::refused);
    }
    CHECK(server.step(final).verdict == Verdict::accepted);
    CHECK(server.step(final).verdict == Verdict::refused);
}

TEST_CASE("SCRAM: random bytes never get through", "[scram]") {
    auto seed = test::seed_or(5);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    constexpr std::string_view kLetters = "npyacrm=,,==2CDbob\x01 \xC3\xA4";
    for (auto round = 0; round < 20'000; ++round) {
        auto server = exchange();
        std::string message = random() % 2 ? "n,," : "";
        if (random() % 2) message += "n=bob,r=f";
        if (random() % 2) static_cast<void>(server.step("n,,n=bob,r=fyko"));
        for (auto left = random() % 30; left > 0; --left)
            message += kLetters[random() % kLetters.size()];
        if (server.step(message).verdict == Verdict::accepted) FAIL(message);
    }
}

TEST_CASE("SCRAM file: takes what to_text writes", "[scram]") {
    auto verifier = make_scram_verifier("open", "12345678", 5000);
    auto file = users("# users\n\nbob:" + to_text(verifier) + "\r\n" + line("amy", "pw"));
    CHECK(file->users() == 2);
    CHECK(file->find("bob").verifier == verifier);
    CHECK(file->find("amy").is_known);
    CHECK_FALSE(file->find("Bob").is_known);
}

TEST_CASE("SCRAM file: a bad line rejects the file and is named", "[scram]") {
    auto error = [](std::string_view text, ScramLimits const& limits = {}) {
        auto file = ScramFile::parse(text, "f", kSecret, limits);
        return file ? "none" : file.error().text();
    };
    auto form = std::string{
        ": expected SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY, the last three in base64"};
    auto salt = to_base64("12345678");
    auto key = to_base64(std::string(32, 'k'));
    auto with = [](std::string_view iterations, std::string_view salt_text, std::string_view stored,
                   std::string_view server) {
        return fmt::format("bob:SCRAM-SHA-256${}:{}${}:{}", iterations, salt_text, stored, server);
    };
    CHECK(error(with("4096", salt, key, key)) == "none");
    CHECK(error("bob") == "f:1: no ':' behind the user name");
    CHECK(error(":x") == "f:1: no user name before ':'");
    CHECK(error("bob:") == "f:1: user 'bob'" + form);
    CHECK(error("bob:SCRAM-SHA-1$4096:a$b:c") == "f:1: user 'bob'" + form);
    CHECK(error(with("4096", salt, key, "")) == "f:1: user 'bob': the keys are not 32 bytes each");
    CHECK(error(with("4096", salt, to_base64("k"), key)) ==
          "f:1: user 'bob': the keys are not 32 bytes each");
    for (auto const* iterations : {"", "x", "-1", "4096x", "4294967296", " 4096"})
        CHECK(error(with(iterations, salt, key, key)) == "f:1: user 'bob'" + form);
    CHECK(error(with("4096", "1234567", key, key)) == "f:1: user 'bob'" + form);
    CHECK(error(with("4096", salt, key, key + "=")) == "f:1: user 'bob'" + form);
    CHECK(error(with("4095", salt, key, key)) == "f:1: user 'bob': fewer than 4096 iterations");
    CHECK(error(with("5000000", salt, key, key)) == "none");
    CHECK(error(with("5000001", salt, key, key)) ==
          "f:1: user 'bob': more than 5000000 iterations");
    CHECK(error(with("4096", to_base64("1234567"), key, key)) ==
          "f:1: user 'bob': the salt is not 8 to 64 bytes");
    CHECK(error(with("4096", to_base64(std::string(64, 's')), key, key)) == "none");
    CHECK(error(with("4096", to_base64(std::string(65, 's')), key, key)) ==
          "f:1: user 'bob': the salt is not 8 to 64 bytes");
    CHECK(error(line("bob", "a") + "\n" + line("bob", "b")) == "f:3: user 'bob': is there twice");
    CHECK(error(line("b\x01", "a")) ==
          "f:1: user 'b\\x01': the name holds characters that SCRAM names may not have here");
    CHECK(error(line("a", "x") + line("b", "x"), {1000, 2, 5000}) == "none");
    CHECK(error(line("a", "x") + line("b", "x"), {1000, 1, 5000}) == "f:2: more than 1 users");
    CHECK(error("# 456789\n", {9, 1, 5000}) == "none");
    CHECK(error("# 456789\n", {8, 1, 5000}) == "f: is larger than 8 bytes");
}

TEST_CASE("is_prepared: only what normalisation leaves alone", "[scram]") {
    for (auto const* text :
         {"bob", "a b,c=d", "~", "\xC3\xA4\xC3\x9F", "\xCE\xB1\xCF\x8E", "\xD0\x96",
          "\xE3\x81\x82\xE3\x83\x91", "\xE4\xB8\xAD", "\xEA\xB0\x80"}) {
        CAPTURE(text);
        CHECK(is_prepared(text));
    }
    for (auto const* text : {
             "",
             "\n",
             "a\x7F",
             "\xC2\x80",
             "\xC2\xA0",
             "\xC2\xAD",  // controls, blank, soft hyphen
             "\xC2\xAA",
             "\xC4\xB2",
             "\xC5\xBF",  // come apart in NFKC
             "a\xCC\x88",
             "\xE3\x81\x8B\xE3\x82\x99",  // compose in NFKC
             "\xEF\xBC\xA1",
             "\xE2\x84\xA6",  // full width A, ohm sign
             "\xD7\x90",
             "\xD8\xA7",
             "\xE2\x80\x8F",  // right to left
             "\xF0\x9F\x9A\xB2",
             "\xEE\x80\x80",
             "\xFF",
             "\xC3",  // later, private, no UTF-8
         }) {
        CAPTURE(text);
        CHECK_FALSE(is_prepared(text));
    }
}
