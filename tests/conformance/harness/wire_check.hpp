#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::test {

/// What holds for every packet that a server sends on one connection, whatever the test is about.
/// The tables in it are written down from the specification, apart from the codec's own.
class WireCheck {
public:
    /// The client has sent this.
    void on_sent(mqtt::Connect const& packet);
    void on_sent(mqtt::Packet const& packet);
    /// Out     what is wrong with the packet that came, with its statement; empty if nothing is.
    [[nodiscard]] std::string on_received(mqtt::Packet const& packet, Bytes frame);

private:
    [[nodiscard]] std::string check_frame(mqtt::Packet const& packet, Bytes frame) const;
    [[nodiscard]] std::string check_reasons(mqtt::Packet const& packet) const;
    [[nodiscard]] std::string check_problem_information(mqtt::Packet const& packet) const;
    [[nodiscard]] std::string check_order(mqtt::Packet const& packet);
    [[nodiscard]] std::string check_publish(mqtt::Publish const& packet);
    void settle(std::uint16_t id) { open_.erase(id); }

    mqtt::Connect connect_;
    std::string authentication_method_;
    bool got_connack_ = false;
    bool got_disconnect_ = false;
    std::set<std::uint16_t> open_;     // PUBLISH that came here and is not acknowledged in full
    std::set<std::uint16_t> aliases_;  // that came with a topic
};

}  // namespace spoke::test
