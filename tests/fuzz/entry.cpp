#include "tests/fuzz/entry.hpp"

#include <algorithm>
#include <vector>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"
#include "protocol/codec/publish_view.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/support/reference_matcher.hpp"

namespace spoke::fuzz {
namespace {

using namespace spoke::mqtt;

bool is_publish(Bytes frame) {
    return !frame.empty() && (frame[0] >> 4) == std::byte{3};
}

Finding check_error(DecodeError const& error, Bytes frame) {
    if (!is_error(error.reason) || name_of(error.reason) == "unknown reason code") {
        return "an error without an error code";
    }
    if (error.offset > frame.size()) return "an error behind the end of the frame";
    if (error.rule.empty()) return "an error without a rule";
    return std::nullopt;
}

Finding check_round_trip(Packet const& packet, Bytes frame, Version version, Sender sender) {
    Buffer written;
    encode(packet, version, written);
    if (written.size() > frame.size()) return "encoded longer than it came";
    auto again = decode(written, version, sender);
    if (!again) return "what was encoded does not decode: " + std::string{again.error().rule};
    if (!(*again == packet)) return "decodes to another value";
    Buffer once_more;
    encode(*again, version, once_more);
    if (once_more != written) return "encodes to other bytes the second time";
    return std::nullopt;
}

/// The packet again, with nothing but what a receiver gets of its properties.
Finding check_forwarded(PublishView const& view, Publish packet) {
    Buffer body(2 + view.topic.size() + 4 + view.forwarded_size);
    body[0] = static_cast<std::byte>(view.topic.size() >> 8);
    body[1] = static_cast<std::byte>(view.topic.size());
    std::copy(as_bytes(view.topic).begin(), as_bytes(view.topic).end(), body.begin() + 2);
    auto* at =
        write_variable_byte_integer(view.forwarded_size, body.data() + 2 + view.topic.size());
    auto* end = copy_forwarded_properties(view, at);
    if (end - at != static_cast<std::ptrdiff_t>(view.forwarded_size))
        return "forwarded size is wrong";
    body.resize(static_cast<std::size_t>(end - body.data()));
    auto forwarded = decode(test::frame_of(0x30, body), Version::v5, Sender::server);
    if (!forwarded) return "forwarded properties do not decode";
    packet.properties.message_expiry_interval.reset();
    if (std::get<Publish>(*forwarded).properties != packet.properties) {
        return "forwarded properties are not those of the packet";
    }
    return std::nullopt;
}

Finding check_user_properties(PublishView const& view, UserProperties const& properties) {
    for (auto const& property : properties) {
        auto first = std::find_if(properties.begin(), properties.end(),
                                  [&](auto const& each) { return each.name == property.name; });
        if (find_user_property(view.properties, property.name) != first->value) {
            return "a user property is not found";
        }
    }
    return std::nullopt;
}

bool shows(PublishView const& view, Publish const& packet) {
    return view.topic == packet.topic && view.qos == packet.qos && view.retain == packet.retain &&
           view.dup == packet.dup && view.id == packet.id &&
           view.topic_alias == packet.topic_alias &&
           view.message_expiry_interval == packet.properties.message_expiry_interval &&
           std::equal(view.payload.begin(), view.payload.end(), packet.payload.begin(),
                      packet.payload.end());
}

Finding check_view(Bytes frame, Version version, Sender sender, Result<Packet> const& packet) {
    auto view = decode_publish(frame, version, sender);
    if (view.has_value() != packet.has_value()) return "view and packet do not agree";
    if (!view) {
        if (view.error() == packet.error()) return std::nullopt;
        return "view and packet do not agree on the error";
    }
    auto const& publish = std::get<Publish>(*packet);
    if (!shows(*view, publish)) return "the view shows something else";
    if (auto finding = check_user_properties(*view, publish.properties.user_properties)) {
        return finding;
    }
    // An empty topic is good only with its alias, which is not forwarded.
    if (view->topic.empty()) return std::nullopt;
    return check_forwarded(*view, publish);
}

/// What a stream falls into: where each packet ends, and whether it ends in an error.
struct Cutting {
    std::vector<std::size_t> ends{};
    std::optional<DecodeError> error{};
    friend bool operator==(Cutting const&, Cutting const&) = default;
};

constexpr std::uint32_t kPacketSizeMax = 1000;

Cutting cut(Bytes stream, std::size_t chunk) {
    Cutting cutting;
    std::size_t begin = 0;
    for (std::size_t known = 0; known < stream.size();) {
        known = std::min(stream.size(), known + chunk);
        for (;;) {
            auto header = read_fixed_header(stream.subspan(begin, known - begin), kPacketSizeMax);
            if (!header) {
                cutting.error = header.error();
                return cutting;
            }
            if (!*header || (*header)->packet_size() > known - begin) break;
            begin += (*header)->packet_size();
            cutting.ends.push_back(begin);
        }
    }
    return cutting;
}

}  // namespace

Finding check_decode(Bytes frame, Version version, Sender sender) {
    if (claimed_protocol_level(frame).has_value() != connack_version(frame).has_value()) {
        return "a level is claimed but there is no version to answer in, or the other way round";
    }
    auto packet = decode(frame, version, sender);
    auto finding = packet ? check_round_trip(*packet, frame, version, sender)
                          : check_error(packet.error(), frame);
    if (finding || !is_publish(frame)) return finding;
    return check_view(frame, version, sender, packet);
}

Finding check_decode_body(Bytes input, Version version, Sender sender) {
    if (input.empty()) return std::nullopt;
    auto frame = test::frame_of(static_cast<std::uint8_t>(input[0]), input.subspan(1));
    return check_decode(frame, version, sender);
}

Finding check_framing(Bytes input) {
    if (input.empty()) return std::nullopt;
    auto chunk = static_cast<std::size_t>(input[0]) + 1;
    auto stream = input.subspan(1);
    auto whole = cut(stream, std::max<std::size_t>(1, stream.size()));
    if (cut(stream, chunk) != whole) return "chunks fall into other packets than the whole";
    if (cut(stream, 1) != whole) return "single bytes fall into other packets than the whole";
    return std::nullopt;
}

Finding check_topic_filter(Bytes input) {
    auto text = as_text(input);
    auto newline = text.find('\n');
    auto filter = text.substr(0, newline);
    auto name = newline == std::string_view::npos ? std::string_view{} : text.substr(newline + 1);
    auto is_name = is_valid_topic_name(name);
    if (is_ascii_topic_name(name) && !(is_name && is_valid_utf8(name))) {
        return "the fast check of names takes more than the slow ones";
    }
    auto is_filter = is_valid_topic_filter(filter);
    if (is_filter != test::is_slowly_valid_filter(filter)) {
        return "filter and reference do not agree on what a filter is";
    }
    if (auto parts = parse_shared(filter)) {
        auto joined = "$share/" + std::string{parts->share_name} + '/' + std::string{parts->filter};
        if (!is_shared(filter) || joined != filter)
            return "the parts of a shared filter are not it";
        if (!is_valid_topic_filter(parts->filter)) return "a shared filter without a filter";
    }
    if (is_filter && is_name && matches(filter, name) != test::slowly_matches(filter, name)) {
        return "matching and reference do not agree";
    }
    return std::nullopt;
}

}  // namespace spoke::fuzz
