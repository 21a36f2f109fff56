// All 256 connect flag bytes in both versions against a model (3.1.1: 3.1.2.3, 5.0: 3.1.2.3).
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// The connect flags as the specification draws them.
struct Flags {
    explicit Flags(unsigned byte) : byte_(byte) {}
    [[nodiscard]] bool reserved() const { return bit(0); }
    [[nodiscard]] bool will() const { return bit(2); }
    [[nodiscard]] unsigned will_qos() const { return (byte_ >> 3) & 3; }
    [[nodiscard]] bool will_retain() const { return bit(5); }
    [[nodiscard]] bool password() const { return bit(6); }
    [[nodiscard]] bool user_name() const { return bit(7); }

    [[nodiscard]] bool are_allowed(Version version) const {
        if (reserved() || will_qos() == 3) return false;
        if (!will() && (will_qos() != 0 || will_retain())) return false;
        return version == Version::v5 || user_name() || !password();
    }

private:
    [[nodiscard]] bool bit(unsigned place) const { return ((byte_ >> place) & 1) != 0; }

    unsigned byte_;
};

/// A CONNECT whose payload is what the flags announce.
std::string text_of(Version version, unsigned byte, std::string const& id) {
    Flags flags{byte};
    bool v5 = version == Version::v5;
    auto text = fmt::format("10 ( s'MQTT' {} {:02X} 0000 {} s'{}'", v5 ? "05" : "04", byte,
                            v5 ? "00" : "", id);
    if (flags.will()) text += fmt::format("{} s'{}/w' s'gone'", v5 ? "00" : "", id);
    if (flags.user_name()) text += " s'joe'";
    if (flags.password()) text += " s'secret'";
    return text + " )";
}

}  // namespace

TEST_CASE("connect flags: each of the 256 is accepted just if the model says so",
          "[v3.1.1][MQTT-3.1.2-3][MQTT-3.1.2-11][MQTT-3.1.2-13][MQTT-3.1.2-14][MQTT-3.1.2-15]"
          "[MQTT-3.1.2-22][v5.0][MQTT-3.1.2-3][MQTT-3.1.2-11][MQTT-3.1.2-12][MQTT-3.1.2-13]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    for (unsigned byte = 0; byte < 256; ++byte) {
        CAPTURE(byte);
        auto& a = s.client("a").speaks(version);
        a.sends_hex(text_of(version, byte, s.word()));
        if (Flags{byte}.are_allowed(version)) {
            CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
            a.leaves();
        } else {
            a.is_refused(ReasonCode::malformed_packet);
        }
    }
}

TEST_CASE("connect flags: each allowed will comes as its flags say",
          "[v3.1.1][MQTT-3.1.2-14][MQTT-3.1.2-12][v5.0][MQTT-3.1.2-12]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.connected("b", version);
    b.sends(subscribe(1, s.word() + "/w", qos2)).gets(suback(1));
    for (unsigned byte = 0; byte < 256; ++byte) {
        Flags flags{byte};
        if (!flags.are_allowed(version)) continue;
        CAPTURE(byte);
        auto& a = s.client("a").speaks(version);
        a.sends_hex(text_of(version, byte, s.word()));
        CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
        a.drops();
        if (flags.will()) {
            b.receives(publish(s.word() + "/w", "gone",
                               mqtt::Qos{static_cast<std::uint8_t>(flags.will_qos())}));
        }
    }
    b.gets_nothing_of(s.client("a"));
}
