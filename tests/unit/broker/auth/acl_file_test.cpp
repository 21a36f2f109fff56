#include "broker/auth/acl_file.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/support/reference_matcher.hpp"
#include "tests/support/seed.hpp"

using namespace spoke;
using namespace spoke::broker;

namespace {

AclFile acl(std::string_view text) {
    auto file = AclFile::parse(text, "acl.conf");
    if (!file) FAIL(file.error().text());
    return std::move(*file);
}

std::string error_of(std::string_view text, AclLimits const& limits = {}) {
    auto file = AclFile::parse(text, "acl.conf", limits);
    return file ? "none" : file.error().text();
}

std::string repeated(std::string_view text, int times) {
    std::string all;
    for (auto i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("ACL: an empty file denies everything", "[acl]") {
    for (auto const* text : {"", "\n\n", "# topic #\n", "user bob\n", "  \t\r\n"}) {
        auto file = acl(text);
        for (auto user :
             {std::optional<std::string_view>{}, std::optional<std::string_view>{"bob"}}) {
            auto access = file.access_of("c", user);
            CHECK_FALSE(access->may_publish("a"));
            CHECK_FALSE(access->may_receive("a"));
            CHECK_FALSE(access->may_subscribe("a"));
            CHECK_FALSE(access->may_subscribe("#"));
        }
    }
}

TEST_CASE("ACL: rules before the first user are for clients without a user name", "[acl]") {
    auto file = acl("topic read news/#\nuser bob\ntopic bob/#\n");
    auto nameless = file.access_of("c", std::nullopt);
    CHECK(nameless->may_receive("news/1"));
    CHECK_FALSE(nameless->may_publish("news/1"));
    CHECK_FALSE(nameless->may_receive("bob/1"));
    auto bob = file.access_of("c", "bob");
    CHECK(bob->may_receive("bob/1"));
    CHECK(bob->may_publish("bob/1"));
    CHECK_FALSE(bob->may_receive("news/1"));
    auto unlisted = file.access_of("c", "eve");
    CHECK_FALSE(unlisted->may_receive("bob/1"));
    CHECK_FALSE(unlisted->may_receive("news/1"));
    CHECK_FALSE(file.access_of("c", "")->may_receive("news/1"));
    CHECK(file.rules() == 2);
}

TEST_CASE("ACL: read, write, readwrite, and no word for both", "[acl]") {
    auto file = acl("topic read r\ntopic write w\ntopic readwrite rw\ntopic both\n");
    auto access = file.access_of("c", std::nullopt);
    CHECK(access->may_receive("r"));
    CHECK(access->may_subscribe("r"));
    CHECK_FALSE(access->may_publish("r"));
    CHECK(access->may_publish("w"));
    CHECK_FALSE(access->may_receive("w"));
    CHECK_FALSE(access->may_subscribe("w"));
    for (auto const* topic : {"rw", "both"}) {
        CHECK(access->may_receive(topic));
        CHECK(access->may_publish(topic));
        CHECK(access->may_subscribe(topic));
    }
}

TEST_CASE("ACL: a denial wins wherever it stands", "[acl]") {
    for (auto const* text :
         {"topic deny a/secret\ntopic a/#\n", "topic a/#\ntopic deny a/secret\n",
          "topic a/#\npattern deny a/secret\n", "pattern deny a/secret\ntopic a/#\n"}) {
        auto file = acl(text);
        auto access = file.access_of("c", std::nullopt);
        CHECK(access->may_receive("a/open"));
        CHECK(access->may_publish("a/open"));
        CHECK_FALSE(access->may_receive("a/secret"));
        CHECK_FALSE(access->may_publish("a/secret"));
        CHECK_FALSE(access->may_subscribe("a/secret"));
        CHECK(access->may_subscribe("a/+"));
        CHECK(access->may_subscribe("#"));
    }
}

TEST_CASE("ACL: a subscription needs a topic that may be received", "[acl]") {
    auto file = acl("topic read a/+/c\ntopic deny a/x/#\ntopic write w/#\ntopic read $SYS/load\n");
    auto access = file.access_of("c", std::nullopt);
    for (auto const* filter : {"a/b/c", "a/+/c", "#", "+/b/c", "a/#", "a/b/#", "+/+/+", "$SYS/load",
                               "$SYS/#", "$SYS/+"}) {
        CAPTURE(filter);
        CHECK(access->may_subscribe(filter));
    }
    for (auto const* filter : {"a/b", "a", "a/x/c", "a/x/#", "a/x/+", "w/1", "w/#", "+/+",
                               "a/+/c/+", "b/#", "$SYS/uptime", "$share/g/a/b/c"}) {
        CAPTURE(filter);
        CHECK_FALSE(access->may_subscribe(filter));
    }
}

TEST_CASE("ACL: '#' does not reach topics that begin with $", "[acl]") {
    auto access = acl("topic #\n").access_of("c", std::nullopt);
    CHECK(access->may_receive("a"));
    CHECK_FALSE(access->may_receive("$SYS/load"));
    CHECK_FALSE(access->may_subscribe("$SYS/#"));
}

TEST_CASE("ACL: patterns hold for every client, with its own names", "[acl]") {
    auto file =
        acl("user bob\ntopic x\npattern write up/%c/%u/data\npattern read all/#\n"
            "pattern read dev-%c\n");
    auto bob = file.access_of("c7", "bob");
    CHECK(bob->may_publish("up/c7/bob/data"));
    CHECK_FALSE(bob->may_receive("up/c7/bob/data"));
    CHECK_FALSE(bob->may_publish("up/c8/bob/data"));
    CHECK(bob->may_receive("all/1"));
    CHECK(bob->may_receive("dev-c7"));
    CHECK(bob->may_receive("x"));
    auto eve = file.access_of("c8", "eve");
    CHECK(eve->may_publish("up/c8/eve/data"));
    CHECK(eve->may_receive("all/1"));
    CHECK_FALSE(eve->may_receive("x"));
    auto nameless = file.access_of("c9", std::nullopt);
    CHECK(nameless->may_receive("all/1"));
    CHECK(nameless->may_receive("dev-c9"));
    CHECK_FALSE(nameless->may_publish("up/c9//data"));
    CHECK_FALSE(nameless->may_publish("up/c9/%u/data"));
}

TEST_CASE("ACL: %c and %u mean nothing in a topic line", "[acl]") {
    auto access = acl("topic t/%c\n").access_of("c7", std::nullopt);
    CHECK(access->may_publish("t/%c"));
    CHECK_FALSE(access->may_publish("t/c7"));
}

TEST_CASE("ACL: names in names are not filled in again", "[acl]") {
    auto file = acl("pattern t/%c/%u\n");
    CHECK(file.access_of("%u", "bob")->may_publish("t/%u/bob"));
    CHECK_FALSE(file.access_of("%u", "bob")->may_publish("t/bob/bob"));
    CHECK(acl("pattern t/%c%u%c\n").access_of("1", "2")->may_publish("t/121"));
    CHECK(acl("pattern %c%\n").access_of("1", "2")->may_publish("1%"));
}

TEST_CASE("ACL: a name with + # or / never widens a pattern", "[acl]") {
    auto file = acl("pattern d/%c/cmd\npattern u/%u\npattern %c/#\n");
    for (auto const* name : {"+", "#", "a/b", "/", "a+", "#b", "a/#", "+/+", ""}) {
        CAPTURE(name);
        auto access = file.access_of(name, name);
        for (auto const* topic : {"d/x/cmd", "d/a/b/cmd", "d//cmd", "d///cmd", "u/x", "u/a/b", "u/",
                                  "u", "a", "a/b/x", "x", "/x", "d/a+/cmd"}) {
            CAPTURE(topic);
            CHECK_FALSE(access->may_publish(topic));
            CHECK_FALSE(access->may_receive(topic));
        }
        CHECK_FALSE(access->may_subscribe("#"));
    }
    // One name that does not fit spoils only the patterns it stands in.
    CHECK(file.access_of("+", "bob")->may_publish("u/bob"));
    CHECK(file.access_of("c7", "#")->may_publish("d/c7/cmd"));
}

TEST_CASE("ACL: a name does not lead a pattern to topics that begin with $", "[acl]") {
    auto file = acl("pattern read %c/#\npattern read in/%c/#\n");
    auto access = file.access_of("$SYS", std::nullopt);
    CHECK_FALSE(access->may_receive("$SYS/load"));
    CHECK(access->may_receive("in/$SYS/load"));
}

TEST_CASE("ACL: a denying pattern whose name does not fit denies what it could deny to anyone",
          "[acl]") {
    auto file = acl("pattern #\npattern $SYS/#\npattern deny own/%c/x\npattern deny %u/y\n");
    auto usual = file.access_of("c7", "bob");
    CHECK_FALSE(usual->may_receive("own/c7/x"));
    CHECK(usual->may_receive("own/c8/x"));
    CHECK_FALSE(usual->may_receive("bob/y"));
    CHECK(usual->may_receive("eve/y"));
    for (auto const* name : {"a/b", "+", "#", "a+", ""}) {
        CAPTURE(name);
        auto access = file.access_of(name, "bob");
        CHECK_FALSE(access->may_receive("own/c8/x"));
        CHECK_FALSE(access->may_publish("own//x"));
        CHECK(access->may_receive("own/c8"));
        CHECK(access->may_receive("eve/y"));
    }
    auto sys = file.access_of("c7", "$SYS/broker");
    CHECK_FALSE(sys->may_receive("$SYS/broker/y"));
    CHECK_FALSE(sys->may_receive("eve/y"));
    CHECK(sys->may_receive("eve/z"));
    CHECK_FALSE(file.access_of("c7", "$SYS")->may_receive("$SYS/y"));
    CHECK(file.access_of("c7", std::nullopt)->may_receive("bob/y"));
}

TEST_CASE("ACL: a name too long for a filter grants nothing", "[acl]") {
    auto file = acl("pattern d/%c%c\n");
    std::string fits(32'766, 'c');
    CHECK(file.access_of(fits, std::nullopt)->may_publish("d/" + fits + fits));
    std::string long_name(32'767, 'c');
    CHECK_FALSE(file.access_of(long_name, std::nullopt)->may_subscribe("#"));
}

TEST_CASE("ACL: blanks, tabs, comments and line ends", "[acl]") {
    auto file =
        acl("# first\r\n  topic \t read \t a b/c d \t\r\n\r\n \t# topic x\nuser  Big Bob \n"
            "topic readwrite read\ntopic write deny\ntopic last");
    CHECK(file.access_of("c", std::nullopt)->may_receive("a b/c d"));
    auto bob = file.access_of("c", "Big Bob");
    CHECK(bob->may_receive("read"));
    CHECK(bob->may_publish("deny"));
    CHECK(bob->may_publish("last"));
    CHECK(file.rules() == 4);
}

TEST_CASE("ACL: a user's rules may stand in several places", "[acl]") {
    auto file = acl("user a\ntopic 1\nuser b\ntopic 2\nuser a\ntopic 3\n");
    auto access = file.access_of("c", "a");
    CHECK(access->may_publish("1"));
    CHECK(access->may_publish("3"));
    CHECK_FALSE(access->may_publish("2"));
}

TEST_CASE("ACL: a bad line rejects the file and is named", "[acl]") {
    CHECK(error_of("topic a\ntpic b\n") ==
          "acl.conf:2: unknown word 'tpic'; expected user, topic or pattern");
    CHECK(error_of("Topic a") ==
          "acl.conf:1: unknown word 'Topic'; expected user, topic or pattern");
    CHECK(error_of("\xEF\xBB\xBFtopic a") ==
          "acl.conf:1: unknown word '\\u{FEFF}topic'; expected user, topic or pattern");
    CHECK(error_of("\n# x\n\nuser\n") == "acl.conf:4: no name behind 'user'");
    CHECK(error_of("user a\xFF\n") == "acl.conf:1: the user name is not UTF-8");
    CHECK(error_of("topic") == "acl.conf:1: no filter behind 'topic'");
    CHECK(error_of("pattern   ") == "acl.conf:1: no filter behind 'pattern'");
    CHECK(error_of("topic deny") == "acl.conf:1: no filter behind 'deny'");
    CHECK(error_of("topic raed a") ==
          "acl.conf:1: unknown access 'raed'; expected read, write, readwrite or deny, which must "
          "stand before a filter with blanks");
    for (auto const* filter : {"a/#/b", "a+", "#a", "++", "a/b#"}) {
        CHECK(error_of("topic read " + std::string{filter}) ==
              "acl.conf:1: '" + std::string{filter} + "' is not a valid topic filter");
    }
    CHECK(error_of("pattern a+%c") == "acl.conf:1: 'a+%c' is not a valid topic filter");
    CHECK(error_of("topic a\xFF"
                   "b") == "acl.conf:1: 'a\\xFFb' is not a valid topic filter");
    CHECK(error_of(std::string_view{"topic a\0b", 9}) ==
          "acl.conf:1: 'a\\x00b' is not a valid topic filter");
    CHECK(error_of("topic read " + std::string(65'535, 'a')) == "none");
    CHECK(error_of("topic read " + std::string(65'536, 'a')) ==
          "acl.conf:1: '" + std::string(256, 'a') +
              "... (65536 bytes)' is not a valid topic filter");
}

TEST_CASE("ACL: limits on bytes and rules hold at their edge", "[acl]") {
    CHECK(error_of("topic a\ntopic b\n", {100, 2}) == "none");
    CHECK(error_of("topic a\ntopic b\npattern c\n", {100, 2}) == "acl.conf:3: more than 2 rules");
    CHECK(error_of("topic a\n", {8, 9}) == "none");
    CHECK(error_of("topic a\n", {7, 9}) == "acl.conf: is larger than 7 bytes");
}

TEST_CASE("ACL: clients without patterns of their own share one object", "[acl]") {
    auto file = acl("user bob\ntopic a\npattern deny x\npattern u/%u\n");
    CHECK(file.access_of("1", std::nullopt) == file.access_of("2", std::nullopt));
    CHECK(file.access_of("1", "+") == file.access_of("2", "#"));
    CHECK(file.access_of("1", "bob") != file.access_of("2", "bob"));
}

TEST_CASE("ACL: what a client may do outlives the file", "[acl]") {
    std::shared_ptr<AclAccess const> access;
    {
        auto file = acl("user bob\ntopic a\npattern c/%c\n");
        access = file.access_of("1", "bob");
    }
    CHECK(access->may_publish("a"));
    CHECK(access->may_publish("c/1"));
}

TEST_CASE("ACL: topics of 65 535 bytes and 32 000 levels cost linear time and no stack", "[acl]") {
    auto deep = repeated("a/", 32'000);
    auto file = acl("topic read " + repeated("+/", 32'000) + "b\ntopic deny " +
                    repeated("+/", 32'000) + "c\ntopic write +/#\n");
    auto access = file.access_of("c", std::nullopt);
    CHECK(access->may_receive(deep + "b"));
    CHECK_FALSE(access->may_receive(deep + "c"));
    CHECK(access->may_publish(deep + "b"));
    CHECK(access->may_subscribe(deep + "#"));
    CHECK(access->may_subscribe(deep + "b"));
    CHECK_FALSE(access->may_subscribe(deep + "c"));
    CHECK(access->may_publish(std::string(65'535, 'x')));
    CHECK(access->may_publish(std::string(65'535, '/')));
}

TEST_CASE("ACL filter: matches as the slow reference, every small filter and topic", "[acl]") {
    std::vector<std::string> texts{""};
    constexpr std::string_view kCharacters = "a$/+#";
    for (std::size_t done = 0; texts[done].size() < 5; ++done) {
        for (char character : kCharacters) texts.push_back(texts[done] + character);
    }
    std::vector<std::string> topics;
    for (auto const& text : texts) {
        if (!text.empty() && text.find_first_of("+#") == std::string::npos) topics.push_back(text);
    }
    auto matched = 0;
    for (auto const& text : texts) {
        if (!test::is_slowly_valid_filter(text)) continue;
        AclFilter filter{text};
        for (auto const& topic : topics) {
            auto expected = test::slowly_matches(text, topic);
            matched += expected;
            if (filter.matches(topic) != expected) FAIL(text << " on " << topic);
        }
    }
    CHECK(matched > 1000);
}

TEST_CASE("ACL: agrees with a slow reading of random rules", "[acl]") {
    auto seed = test::seed_or(4);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    auto pick = [&random](std::initializer_list<char const*> words) {
        return std::string{words.begin()[random() % words.size()]};
    };
    auto denied_after_grant = 0;
    for (auto round = 0; round < 2'000; ++round) {
        struct Line {
            std::string word;
            std::string filter;
        };
        std::vector<Line> lines;
        std::string text;
        for (auto left = random() % 5; left > 0; --left) {
            Line line{pick({"read", "write", "readwrite", "deny"}),
                      pick({"a", "b", "+", "$s"}) + pick({"", "/a", "/+", "/b/#", "/#", "/"})};
            text += pick({"topic ", "pattern "}) + line.word + " " + line.filter + "\n";
            lines.push_back(std::move(line));
        }
        auto access = acl(text).access_of("c", std::nullopt);
        for (auto const* topic : {"a", "b", "a/a", "a/b", "b/", "a/b/c", "$s", "$s/a", "b/b/b/b"}) {
            auto has = [&](std::initializer_list<std::string_view> words) {
                return std::any_of(lines.begin(), lines.end(), [&](Line const& line) {
                    return std::find(words.begin(), words.end(), line.word) != words.end() &&
                           test::slowly_matches(line.filter, topic);
                });
            };
            auto may_read = has({"read", "readwrite"}) && !has({"deny"});
            auto may_write = has({"write", "readwrite"}) && !has({"deny"});
            denied_after_grant += has({"read", "readwrite"}) && has({"deny"});
            CAPTURE(text, topic);
            REQUIRE(access->may_receive(topic) == may_read);
            REQUIRE(access->may_publish(topic) == may_write);
            REQUIRE(access->may_subscribe(topic) == may_read);
            // A filter with some readable topic must never be refused.
            if (may_read) REQUIRE(access->may_subscribe(std::string{topic} + "/#"));
        }
    }
    CHECK(denied_after_grant > 100);
}
