#include "protocol/codec/publish_view.hpp"

#include <catch2/catch.hpp>

#include "tests/support/describe.hpp"
#include "tests/support/dies.hpp"
#include "tests/support/packet_table.hpp"

namespace spoke::mqtt {
namespace {

using test::bytes_of;

/// What a receiver gets of the properties; also checks that the size was told right.
Buffer forwarded(PublishView const& view) {
    Buffer out(view.forwarded_size + 1, std::byte{0xEE});
    auto* end = copy_forwarded_properties(view, out.data());
    REQUIRE(end == out.data() + view.forwarded_size);
    CHECK(out.back() == std::byte{0xEE});
    out.pop_back();
    return out;
}

PublishView view_of(Bytes frame, Sender sender = Sender::client) {
    auto view = decode_publish(frame, Version::v5, sender);
    REQUIRE(test::describe(view) == "good");
    return *view;
}

}  // namespace

TEST_CASE("PublishView: points into the frame") {
    auto frame = bytes_of("32 ( s'd/7/cmd' 1234 ( 01 01 ) 'ring' )");
    auto view = view_of(frame);
    auto const* begin = reinterpret_cast<char const*>(frame.data());
    CHECK(view.topic.data() == begin + 4);
    CHECK(view.topic == "d/7/cmd");
    CHECK(view.id == PacketId{0x1234});
    CHECK(view.properties.data() == frame.data() + 14);
    CHECK(view.properties.size() == 2);
    CHECK(view.payload.data() == frame.data() + 16);
    CHECK(as_text(view.payload) == "ring");
}

TEST_CASE("PublishView: what is forwarded goes on unchanged and in order, the rest stays",
          "[v5.0][MQTT-3.3.2-4][MQTT-3.3.2-15][MQTT-3.3.2-16][MQTT-3.3.2-17][MQTT-3.3.2-18][MQTT-3."
          "3.2-20]") {
    auto frame = bytes_of(R"(
        30 ( s'd/7/cmd' (
            26 s'b' s'1'            # user property
            23 0001                 # topic alias: stays
            26 s'a' s'2'            # user property
            0B 8001                 # subscription identifier: stays
            09 0003 0001FF          # correlation data
            02 0000003C             # message expiry: stays
            03 s'text/plain'        # content type
            0B 07                   # subscription identifier: stays
            08 s'reply'             # response topic
            26 s'' s''              # user property
            01 01                   # payload format
            26 s'b' s'1'            # user property
        ) 'x' ))");
    auto view = view_of(frame, Sender::server);
    CHECK(view.topic_alias == 1);
    CHECK(view.message_expiry_interval == 60);
    CHECK(forwarded(view) ==
          bytes_of("26 s'b' s'1' 26 s'a' s'2' 09 0003 0001FF 03 s'text/plain' 08 s'reply'"
                   "26 s'' s'' 01 01 26 s'b' s'1'"));
}

TEST_CASE("PublishView: all properties forwarded, and none") {
    auto all = bytes_of("30 ( s't' ( 01 01 26 s'a' s'b' ) 'x' )");
    CHECK(forwarded(view_of(all)) == bytes_of("01 01 26 s'a' s'b'"));
    auto none = bytes_of("30 ( s't' ( 23 0001 02 00000001 ) 'x' )");
    CHECK(forwarded(view_of(none)).empty());
    auto empty = bytes_of("30 ( s't' 00 'x' )");
    CHECK(forwarded(view_of(empty)).empty());
    auto old = bytes_of("30 ( s't' 'x' )");
    auto view = decode_publish(old, Version::v3_1_1, Sender::client);
    REQUIRE(view);
    CHECK(view->properties.empty());
    CHECK(forwarded(*view).empty());
}

TEST_CASE("PublishView: a user property is found by its name, the first of several") {
    auto frame = bytes_of(R"(
        30 ( s't' ( 01 01 26 s'a' s'1' 09 0001 26 26 s'b' s'' 26 s'a' s'2' 26 s'' s'nameless' ) ))");
    auto view = view_of(frame);
    CHECK(find_user_property(view.properties, "a") == "1");
    CHECK(find_user_property(view.properties, "b") == "");
    CHECK(find_user_property(view.properties, "") == "nameless");
    CHECK_FALSE(find_user_property(view.properties, "c"));
    CHECK_FALSE(find_user_property(view.properties, "A"));
    CHECK_FALSE(find_user_property({}, "a"));
}

TEST_CASE("PublishView: another packet, or properties nobody checked, are our own mistake") {
    auto ping = bytes_of("C0 00");
    CHECK(test::dies([&] { (void)decode_publish(ping, Version::v5, Sender::client); }));
    auto unchecked = bytes_of("26 0005");
    CHECK(test::dies([&] { (void)find_user_property(unchecked, "a"); }));
    auto unknown = bytes_of("7F");
    CHECK(test::dies([&] { (void)find_user_property(unknown, "a"); }));
}

}  // namespace spoke::mqtt
