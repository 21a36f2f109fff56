// What others wrote stands in the log as text, not as lines and commands of its own.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

TEST_CASE("log: client ids and what clients say are escaped wherever they are logged") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    std::string const id = "evil\n2026-01-01 info: all is well\x1B[2J\xE2\x80\xAE";
    Script s{{.settings = {.queue_messages_max = 1, .queue_full = broker::QueueFull::drop_new}}};
    auto& evil = s.link("peer");
    s.link("pub").sends(connect(version)).gets(connack());
    auto publishes = [&] {
        for (int i = 0; i < 3; ++i) s.link("pub").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    };
    // Connecting, a queue that overflows, a takeover, an error, a DISCONNECT, an expired session.
    evil.sends(connect(version).id(id).resume()).gets(connack());
    evil.sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    publishes();
    evil.sends(connect(version).id(id).resume()).gets(connack().session_present());
    s.link("second").sends(connect(version).id(id).resume()).gets(connack().session_present());
    s.link("second").sends_bytes(bytes_of("C1 00"));
    if (s.link("second").is_open()) s.link("second").drops();
    s.link("third").sends(connect(version).id(id).resume());
    s.link("third").sends(subscribe(2, "a\n#"));
    s.link("fourth").sends(connect(version).id(id).resume()).gets(connack().session_present());
    s.link("fourth").sends(publish("t\n/+", "x"));
    if (version == Version::v5) {
        s.link("fifth").sends(connect(version).id(id).expiry(1)).gets(connack());
        s.link("fifth").sends(disconnect(ReasonCode::unspecified_error, 1)).closes();
        s.pass(2s);
    }
    std::size_t named = 0;
    for (std::string const& line : s.log()) {
        CAPTURE(line);
        bool clean = std::ranges::none_of(
            line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
        CHECK(clean);
        CHECK(line.find("\xE2\x80\xAE") == std::string::npos);
        if (line.find("evil\\n2026") != std::string::npos) ++named;
    }
    CHECK(named >= 6);
}
