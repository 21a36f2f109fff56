#include "bridge/event/event.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "bridge/event/event_time.hpp"
#include "protocol/base/base64.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

constexpr std::size_t kTypeBytesMax = 64;

std::string quoted(std::string_view text) {
    return json::serialize(json::value(json::string_view{text.data(), text.size()}));
}

std::string type_in(json::object const& object) {
    for (auto const* name : {"type", "e"}) {
        auto const* member = object.if_contains(name);
        auto const* text = member == nullptr ? nullptr : member->if_string();
        if (text == nullptr || text->empty() || text->size() > kTypeBytesMax) continue;
        return std::string{text->data(), text->size()};
    }
    return {};
}

}  // namespace

std::string event_time(WallTime time) {
    auto ms = time.time_since_epoch() % std::chrono::seconds{1};
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(time - ms)), ms.count());
}

EventDraft make_draft(std::string_view topic, std::string_view payload) {
    EventDraft draft;
    draft.topic = topic;
    json::error_code error;
    auto value = json::parse(json::string_view{payload.data(), payload.size()}, error);
    if (!error.failed()) {
        draft.data = payload;
        // Between the tokens, as a JSON string cannot hold them; an event is one line.
        std::ranges::replace_if(
            draft.data, [](char c) { return c == '\n' || c == '\r'; }, ' ');
        if (auto const* object = value.if_object()) draft.type = type_in(*object);
    } else if (mqtt::is_valid_utf8(payload)) {
        draft.data = quoted(payload);
        draft.encoding = EventEncoding::text;
    } else {
        draft.data = quoted(to_base64(payload));
        draft.encoding = EventEncoding::base64;
    }
    return draft;
}

std::string payload_of(EventDraft const& draft) {
    if (draft.encoding == EventEncoding::json) return draft.data;
    auto value = json::parse(draft.data);
    auto const& text = value.as_string();
    if (draft.encoding == EventEncoding::text) return {text.data(), text.size()};
    return from_base64({text.data(), text.size()}).value_or(std::string{});
}

LoggedEvent::LoggedEvent(Event event, std::string const& epoch)
    : event_(std::move(event)), id_(fmt::format("{}.{}", epoch, event_.offset)) {}

LoggedEvent::Bytes const& LoggedEvent::document() const {
    if (document_) return document_;
    static constexpr std::array<std::string_view, 3> kEncodings{"", R"(,"encoding":"text")",
                                                                R"(,"encoding":"base64")"};
    auto type = event_.type.empty() ? std::string{} : R"(,"type":)" + quoted(event_.type);
    document_ = std::make_shared<std::string const>(
        fmt::format(R"({{"id":"{}","topic":{},"n":{}{},"at":"{}","data":{}{}}})", id_,
                    quoted(event_.topic), event_.n, type, event_time(event_.at), event_.data,
                    kEncodings.at(static_cast<std::size_t>(event_.encoding))));
    return document_;
}

LoggedEvent::Bytes const& LoggedEvent::sse_frame() const {
    if (!sse_frame_) {
        sse_frame_ = std::make_shared<std::string const>(
            fmt::format("id: {}\ndata: {}\n\n", id_, *document()));
    }
    return sse_frame_;
}

std::size_t LoggedEvent::bytes() const noexcept {
    constexpr std::size_t kCopies = 3;  // itself, the document, the frame
    return sizeof(*this) + kCopies * (event_.topic.size() + event_.data.size());
}

}  // namespace spoke::bridge
