#pragma once

#include <optional>

#include "bridge/api/http_message.hpp"
#include "bridge/api/problem.hpp"
#include "bridge/api/target.hpp"
#include "protocol/client/client_events.hpp"
#include "protocol/packet/publish.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::bridge {

/// The message of `POST /v1/publish/{topic}` and `/v1/request/{topic}`: `qos`, `retain` and
/// `expiry` from the query, the body as it is, its Content-Type (but what curl says of every body).
/// Out     the error, or nullopt with `out` filled.
[[nodiscard]] std::optional<RequestError> parse_message(HttpRequest const& request,
                                                        Target const& target,
                                                        std::string const& topic,
                                                        mqtt::Publish& out);

/// A refusal by our own client or by the broker: in each case the message went to nobody.
[[nodiscard]] Problem refused_message(mqtt::NotSent cause);
[[nodiscard]] Problem refused_message(mqtt::ReasonCode reason);

}  // namespace spoke::bridge
