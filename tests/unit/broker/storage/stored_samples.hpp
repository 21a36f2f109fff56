#pragma once

#include <string>
#include <string_view>

#include "broker/core/message.hpp"
#include "broker/core/ports/store.hpp"

namespace spoke::test {

[[nodiscard]] inline broker::MessagePtr sample_message(std::string_view topic,
                                                       std::string_view payload,
                                                       broker::Deadline deadline = broker::kNever) {
    // Payload format indicator 1, content type "t".
    static constexpr std::string_view kProperties{"\x01\x01\x03\x00\x01t", 6};
    return broker::Message::make(broker::MessageParts{.topic = topic,
                                                      .forwarded_properties = as_bytes(kProperties),
                                                      .payload = as_bytes(payload),
                                                      .qos = mqtt::Qos::at_least_once,
                                                      .retain = true,
                                                      .deadline = deadline});
}

/// One whose publisher wants to be told what becomes of it.
[[nodiscard]] inline broker::MessagePtr sample_told_message(std::string_view topic,
                                                            std::string_view payload) {
    auto plain = sample_message(topic, payload, 1'700'000'000'123);
    auto parts = plain->parts();
    parts.receipt = {.topic = "m/receipts", .mount_size = 2};
    return broker::Message::make(parts);
}

/// A session with something in every field.
[[nodiscard]] inline broker::StoredSession sample_session(broker::SessionNumber number,
                                                          std::string_view client_id) {
    broker::StoredSession session;
    session.number = number;
    session.client_id = client_id;
    session.listener = "inside";
    session.mount_point = "tenant/7/";
    session.user_name = "bob";
    session.expiry_interval = 3600;
    session.is_connected = false;
    session.expires_at = 1'700'000'000'123;
    session.will_at = 1'700'000'000'000;
    session.will =
        mqtt::Will{.topic = "tenant/7/gone",
                   .payload = to_buffer(std::string_view{"bye\0bye", 7}),
                   .qos = mqtt::Qos::exactly_once,
                   .retain = true,
                   .will_delay_interval = 17,
                   .properties = {.payload_format_indicator = std::uint8_t{1},
                                  .message_expiry_interval = 60U,
                                  .content_type = "text/plain",
                                  .response_topic = "answers",
                                  .correlation_data = to_buffer("c"),
                                  .user_properties = {{"name", "value"}, {"name", "again"}}}};
    return session;
}

/// Two messages with the same bytes, or none both.
[[nodiscard]] inline bool is_same(broker::MessagePtr const& a, broker::MessagePtr const& b) {
    if (!a || !b) return !a && !b;
    return as_text(a->encoded_topic()) == as_text(b->encoded_topic()) &&
           as_text(a->forwarded_properties()) == as_text(b->forwarded_properties()) &&
           as_text(a->payload()) == as_text(b->payload()) && a->qos() == b->qos() &&
           a->retain() == b->retain() && a->deadline() == b->deadline() &&
           a->receipt_request().topic == b->receipt_request().topic &&
           a->receipt_request().mount_size == b->receipt_request().mount_size;
}

}  // namespace spoke::test
