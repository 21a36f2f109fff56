#include "bridge/event/event.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <string>

#include "bridge/event/cursor.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using namespace std::string_literals;

LoggedEvent logged(EventDraft draft) {
    Event event;
    static_cast<EventDraft&>(event) = std::move(draft);
    event.offset = 1042;
    event.n = 7;
    event.at = WallTime{std::chrono::milliseconds{1'795'374'000'123}};
    return {std::move(event), "k7"};
}

}  // namespace

TEST_CASE("event: the payload becomes data and can be had back", "[bridge][event]") {
    struct Row {
        std::string payload;
        std::string data;
        EventEncoding encoding;
    };
    auto row = GENERATE(
        Row{R"({"g":1.8})", R"({"g":1.8})", EventEncoding::json},
        Row{"17", "17", EventEncoding::json}, Row{R"("a")", R"("a")", EventEncoding::json},
        Row{"hello", R"("hello")", EventEncoding::text}, Row{"", R"("")", EventEncoding::text},
        Row{R"({"g":)", R"("{\"g\":")", EventEncoding::text},
        Row{"\xC3\x28", R"("wyg=")", EventEncoding::base64},
        Row{"line\r\nline", R"("line\r\nline")", EventEncoding::text},
        Row{"\0"s, R"("AA==")", EventEncoding::base64});
    auto draft = make_draft("d/b42/evt", row.payload);
    CHECK(draft.topic == "d/b42/evt");
    CHECK(draft.data == row.data);
    CHECK(draft.encoding == row.encoding);
    CHECK(payload_of(draft) == row.payload);
}

TEST_CASE("event: JSON over several lines becomes one line with the same value",
          "[bridge][event]") {
    std::string payload = "{\r\n  \"text\": \"a\\nb\",\n  \"n\": [1,\n2]\n}";
    auto draft = make_draft("t/1", payload);
    CHECK(draft.data.find_first_of("\r\n") == std::string::npos);
    CHECK(json::parse(draft.data) == json::parse(payload));
    auto frame = *logged(draft).sse_frame();
    CHECK(frame.ends_with("\n\n"));
    CHECK(std::count(frame.begin(), frame.end(), '\n') == 3);
}

TEST_CASE("event: its type is what the payload says", "[bridge][event]") {
    CHECK(make_draft("t", R"({"type":"moved"})").type == "moved");
    CHECK(make_draft("t", R"({"e":"fell"})").type == "fell");
    CHECK(make_draft("t", R"({"e":"fell","type":"moved"})").type == "moved");
    CHECK(make_draft("t", R"({"type":7,"e":"fell"})").type == "fell");
    CHECK(make_draft("t", R"({"type":""})").type.empty());
    CHECK(make_draft("t", R"(["type"])").type.empty());
    CHECK(make_draft("t", R"({"type":")" + std::string(64, 'x') + R"("})").type.size() == 64);
    CHECK(make_draft("t", R"({"type":")" + std::string(65, 'x') + R"("})").type.empty());
}

TEST_CASE("event: the document names everything a reader needs", "[bridge][event]") {
    auto event = logged(make_draft("d/b42/evt", R"({"type":"moved","g":1.8})"));
    CHECK(*event.document() ==
          R"({"id":"k7.1042","topic":"d/b42/evt","n":7,"type":"moved",)"
          R"("at":"2026-11-22T19:00:00.123Z","data":{"type":"moved","g":1.8}})");
    CHECK(*event.sse_frame() == "id: k7.1042\ndata: " + *event.document() + "\n\n");
    auto text = logged(make_draft("t/\"1\"", "hello"));
    CHECK(*text.document() ==
          R"({"id":"k7.1042","topic":"t/\"1\"","n":7,)"
          R"("at":"2026-11-22T19:00:00.123Z","data":"hello","encoding":"text"})");
    CHECK(text.document() == text.document());  // encoded once
}

TEST_CASE("cursor: reads what it writes and nothing else", "[bridge][event]") {
    CHECK(Cursor{"k7", 1042}.text() == "k7.1042");
    CHECK(Cursor::parse("k7.1042") == Cursor{"k7", 1042});
    CHECK(Cursor::parse("k7.0") == Cursor{"k7", 0});
    CHECK(Cursor::parse("k7.18446744073709551615"));
    for (auto const* bad :
         {"", ".", "k7", "k7.", ".7", "k7.-1", "k7.1a", "k7. 1", "k7.01", "K7.1", "k 7.1", "k7.1.2",
          "k7.18446744073709551616", "0123456789abcdefg.1", "k7.1 ", "k7.+1"}) {
        INFO(bad);
        CHECK_FALSE(Cursor::parse(bad));
    }
}

}  // namespace spoke::bridge
