#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "broker/core/ports/authenticator.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/strong.hpp"
#include "protocol/packet/connect.hpp"

namespace spoke::broker {

class Link;

/// A CONNECT that passed all checks that need no session, on its way through authentication and to
/// its session's home shard.
struct CheckedConnect {
    mqtt::Connect packet;
    bool id_assigned = false;                     // the client sent none [MQTT-3.1.3-6]
    std::optional<std::string> user_name{};       // who the client is, once that is known
    std::optional<Buffer> authentication_data{};  // for CONNACK, from an enhanced authentication
};

/// A verdict that a core waits for; one shard's own number.
using AuthTicket = Strong<std::uint64_t, struct AuthTicketTag>;

/// How far a link has come with showing who it is. Kept only while that is under way and, of an
/// enhanced authentication, for as long as the link lives, since it may be repeated.
struct Authentication {
    AuthTicket ticket{};                       // of the verdict that is awaited; 0: none
    std::string method{};                      // of CONNECT; empty: user name and password
    std::unique_ptr<AuthExchange> exchange{};  // while one runs
    std::optional<CheckedConnect> connect{};   // until it is admitted
    std::string user_name{};                   // whom the first exchange has shown
};

/// A link whose CONNECT is authenticated: ShardCore::on_connect() on the home shard is next.
struct Admitted {
    Link* link;
    CheckedConnect connect;
};

}  // namespace spoke::broker
