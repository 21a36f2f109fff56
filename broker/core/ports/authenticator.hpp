#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::broker {

/// What a client has shown of itself with CONNECT.
struct Credentials {
    std::string client_id;
    /// From CONNECT, or what the transport has shown, which then needs no password.
    std::optional<std::string> user_name{};
    std::optional<Buffer> password{};
    bool shown_by_transport = false;
};

/// success, or what CONNACK says: bad_user_name_or_password, not_authorized, server_busy,
/// server_unavailable.
using AuthVerdict = mqtt::ReasonCode;

/// One run of an enhanced authentication (MQTT 5, 4.12): the server's side of a method, bytes in
/// and bytes out. No I/O; a step is quick enough for a shard's thread.
class AuthExchange {
public:
    virtual ~AuthExchange() = default;

    struct Step {
        enum class Kind : std::uint8_t { go_on, accepted, refused };
        Kind kind = Kind::refused;
        Buffer data{};      // the authentication data of the answer; for go_on and accepted
        std::string why{};  // for the log; for refused
    };
    /// `data`: the client's authentication data.
    [[nodiscard]] virtual Step step(Bytes data) = 0;
    /// Who the client is, once a step was accepted.
    [[nodiscard]] virtual std::string const& user_name() const = 0;
};

/// Who may connect through a listener. Called from every shard's thread; no call blocks.
class Authenticator {
public:
    virtual ~Authenticator() = default;

    /// Called at most once, from any thread.
    using Done = std::function<void(AuthVerdict)>;
    /// Judges user name and password, or that there are none (3.1.3.5, 3.1.3.6).
    /// Out     the verdict, or nothing: then it is worked on elsewhere and `done` will be told,
    ///         which never happens before this returns.
    [[nodiscard]] virtual std::optional<AuthVerdict> authenticate(Credentials credentials,
                                                                  Done done) = 0;

    /// Begins an enhanced authentication; null if the method is not offered [MQTT-4.12.0-1].
    [[nodiscard]] virtual std::unique_ptr<AuthExchange> begin(std::string_view method) = 0;
};

}  // namespace spoke::broker
