#include "protocol/codec/reader.hpp"

#include "protocol/packet/reason_table.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::mqtt {
namespace {

constexpr Rule const& reason_rule(PacketType packet) noexcept {
    switch (packet) {
        case PacketType::connack:
            return rule::kConnAckReason;
        case PacketType::puback:
            return rule::kPubAckReason;
        case PacketType::pubrec:
            return rule::kPubRecReason;
        case PacketType::pubrel:
            return rule::kPubRelReason;
        case PacketType::pubcomp:
            return rule::kPubCompReason;
        case PacketType::suback:
            return rule::kSubAckReason;
        case PacketType::unsuback:
            return rule::kUnsubAckReason;
        case PacketType::disconnect:
            return rule::kDisconnectReason;
        case PacketType::auth:
        case PacketType::connect:
        case PacketType::publish:
        case PacketType::subscribe:
        case PacketType::unsubscribe:
        case PacketType::pingreq:
        case PacketType::pingresp:
            break;
    }
    return rule::kAuthReason;
}

constexpr bool holds_nul(std::string_view text) noexcept {
    return text.find('\0') != std::string_view::npos;
}

}  // namespace

void Reader::fail(ReasonCode reason, Rule const& broken, std::byte const* at) noexcept {
    if (!error_) error_ = {reason, static_cast<std::size_t>(at - begin_), broken.in(version_)};
    at_ = end_;
}

std::uint8_t Reader::cut() noexcept {
    fail(ReasonCode::malformed_packet, rule::kFieldCut, at_);
    return 0;
}

Bytes Reader::cut_binary(std::byte const* field) noexcept {
    fail(ReasonCode::malformed_packet, rule::kFieldCut, field);
    return {};
}

std::uint32_t Reader::long_variable_byte_integer() noexcept {
    auto const* field = at_;
    std::uint32_t value = 0;
    for (auto shift = 0u; shift < 28; shift += 7) {
        if (at_end()) {
            fail(ReasonCode::malformed_packet, rule::kFieldCut, field);
            return 0;
        }
        auto byte = take();
        value |= (byte & 0x7F) << shift;
        if (byte >= 0x80) continue;
        if (byte == 0 && shift > 0) break;  // a shorter form exists
        return value;
    }
    fail(ReasonCode::malformed_packet, rule::kVariableByteInteger, field);  // [MQTT-1.5.5-1]
    return 0;
}

std::string_view Reader::utf8() noexcept {
    auto const* field = at_;
    auto text = as_text(binary());
    check_utf8(text, field);
    return failed() ? std::string_view{} : text;
}

void Reader::check_utf8(std::string_view text, std::byte const* field) noexcept {
    if (is_valid_utf8(text)) return;
    fail(ReasonCode::malformed_packet, holds_nul(text) ? rule::kNul : rule::kUtf8, field);
}

std::string_view Reader::topic_name() noexcept {
    auto const* field = at_;
    auto name = utf8();
    if (failed() || is_valid_topic_name(name)) return name;
    fail(ReasonCode::topic_name_invalid, name.empty() ? rule::kTopicEmpty : rule::kTopicWildcard,
         field);
    return {};
}

ReasonCode Reader::reason_code(PacketType packet) noexcept {
    auto const* field = at_;
    ReasonCode code{u8()};
    if (!may_stand(code, packet, sender_)) {
        fail(ReasonCode::protocol_error, reason_rule(packet), field);
    }
    return code;
}

/// The row of the property that comes next, if it may stand here.
inline PropertyRow const* PropertyReader::read_row() noexcept {
    auto const* at = reader_.position();
    auto id = reader_.u8();
    auto const* row = find_property_row(id);
    if (!row || !may_stand(*row, place_)) {
        reader_.fail(ReasonCode::malformed_packet,
                     row ? rule::kPropertyMisplaced : rule::kPropertyUnknown, at);
        return nullptr;
    }
    if (!may_send(*row, place_, reader_.sender())) {
        reader_.fail(ReasonCode::protocol_error,
                     row->sender_rule.empty() ? rule::kPropertySender : Rule{row->sender_rule}, at);
        return nullptr;
    }
    auto bit = std::uint64_t{1} << id;
    if ((seen_ & bit) != 0 && !may_repeat(*row, place_)) {
        reader_.fail(ReasonCode::protocol_error, rule::kPropertyTwice, at);
        return nullptr;
    }
    seen_ |= bit;
    return row;
}

inline void PropertyReader::check_value(PropertyRow const& row, std::byte const* at,
                                        Property const& property) noexcept {
    if (row.wire == Wire::utf8 || row.wire == Wire::utf8_pair) {
        reader_.check_utf8(as_text(property.bytes), at);
    }
    if (row.wire == Wire::utf8_pair) reader_.check_utf8(property.value, at);
    auto is_good = [&] {
        switch (row.values) {
            case Values::any:
                return true;
            case Values::zero_or_one:
                return property.number <= 1;
            case Values::not_zero:
                return property.number != 0;
            case Values::topic_name:
                return is_valid_topic_name(as_text(property.bytes));
        }
        return false;
    };
    if (!is_good()) {
        reader_.fail(row.bad_value,
                     row.value_rule.empty() ? rule::kPropertyValue : Rule{row.value_rule}, at);
    }
}

bool PropertyReader::read_property(Property& property) noexcept {
    auto const* at = reader_.position();
    if (auto const* row = read_row()) {
        read_value(reader_, *row, property);
        check_value(*row, at, property);
    }
    return !reader_.failed();
}

}  // namespace spoke::mqtt
