#include "device-sim/watch/sse_parser.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace spoke::sim::test {
namespace {

struct Stream {
    bool feed(std::string_view bytes) {
        return parser.feed(bytes, [this](SseFrame const& frame) {
            frames.push_back(frame);
            ids.push_back(parser.last_id());
        });
    }
    SseParser parser{64};
    std::vector<SseFrame> frames;
    std::vector<std::string> ids;
};

constexpr std::string_view kStream =
    "retry: 3127\n\n: hello\nevent: hello\ndata: {\"resumed\":true}\n\nid: k7.1\ndata: a\n"
    "data:b\n\n:\nid: k7.2\n\n";

void check(Stream const& stream) {
    REQUIRE(stream.frames.size() == 4);
    CHECK(stream.parser.retry_ms() == 3127);
    CHECK(stream.parser.comments() == 2);
    CHECK_FALSE(stream.frames[0].has_data);
    CHECK(stream.frames[1].event == "hello");
    CHECK(stream.frames[1].data == R"({"resumed":true})");
    CHECK(stream.frames[2].event.empty());
    CHECK(stream.frames[2].data == "a\nb");
    CHECK(stream.frames[2].has_id);
    CHECK_FALSE(stream.frames[3].has_data);
    CHECK(stream.ids == std::vector<std::string>{"", "", "k7.1", "k7.2"});
}

}  // namespace

TEST_CASE("sse parser: frames are what stands between empty lines", "[sse]") {
    Stream stream;
    REQUIRE(stream.feed(kStream));
    check(stream);
}

TEST_CASE("sse parser: where the bytes are cut does not matter", "[sse]") {
    Stream stream;
    for (auto c : kStream) REQUIRE(stream.feed({&c, 1}));
    check(stream);
}

TEST_CASE("sse parser: every line end is one", "[sse]") {
    Stream stream;
    REQUIRE(stream.feed("data: a\r\n\r\ndata: b\r\rdata: c\n\n"));
    REQUIRE(stream.frames.size() == 3);
    CHECK(stream.frames[0].data == "a");
    CHECK(stream.frames[1].data == "b");
    CHECK(stream.frames[2].data == "c");
}

TEST_CASE("sse parser: the id of a frame that is cut off does not count", "[sse]") {
    Stream stream;
    REQUIRE(stream.feed("id: k7.1\ndata: a\n\nid: k7.2\ndata: b\n"));
    CHECK(stream.parser.last_id() == "k7.1");
}

TEST_CASE("sse parser: only one blank belongs to the colon", "[sse]") {
    Stream stream;
    REQUIRE(stream.feed("data:  a\ndata\nother: x\n\n"));
    CHECK(stream.frames[0].data == " a\n");
}

TEST_CASE("sse parser: what is too long ends it", "[sse]") {
    Stream stream;
    CHECK(stream.feed("data: " + std::string(57, 'x')));
    CHECK_FALSE(stream.feed("xx"));
}

}  // namespace spoke::sim::test
