#include "bridge/api/inbox_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bridge/api/json_members.hpp"
#include "bridge/command/json_text.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

constexpr std::int64_t kTtlMsMax = std::int64_t{365} * 24 * 3'600'000;

bool is_printable(std::string_view text, std::size_t size_max) {
    auto is_fine = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; };
    return !text.empty() && text.size() <= size_max && std::ranges::all_of(text, is_fine);
}

bool read_type(json::value const& value, InboxMessage& out) {
    auto const* text = value.if_string();
    if (text == nullptr || !is_printable(*text, 64)) return false;
    out.type = std::string_view{*text};
    return out.type != kReadType && out.type != kExpiredType;
}

bool read_data(json::value const& value, InboxMessage& out) {
    out.data = json_text(value);
    return true;
}

bool read_collapse(json::value const& value, InboxMessage& out) {
    auto const* text = value.if_string();
    if (text == nullptr || !is_printable(*text, 128)) return false;
    out.collapse = std::string_view{*text};
    return true;
}

bool read_ttl(json::value const& value, InboxMessage& out) {
    json::error_code error;
    auto ms = value.is_number() ? value.to_number<std::int64_t>(error) : 0;
    if (error.failed() || ms < 100 || ms > kTtlMsMax) return false;
    out.ttl = std::chrono::milliseconds{ms};
    return true;
}

constexpr std::array kMembers{
    JsonMember<InboxMessage>{
        "type", "a text of 1 to 64 printable characters, and neither \"read\" nor \"expired\"",
        read_type, true},
    JsonMember<InboxMessage>{"data", "any JSON", read_data},
    JsonMember<InboxMessage>{"ttl_ms", "a whole number from 100 to 31536000000", read_ttl},
    JsonMember<InboxMessage>{"collapse", "a text of 1 to 128 printable characters", read_collapse},
};

constexpr std::array kReadMembers{
    JsonMember<std::string>{"upto", "a cursor such as \"k7.88\"",
                            [](json::value const& value, std::string& out) {
                                auto const* text = value.if_string();
                                if (text == nullptr) return false;
                                out = std::string_view{*text};
                                return true;
                            },
                            true},
};

}  // namespace

std::optional<RequestError> parse_inbox_messages(std::string_view body,
                                                 std::vector<InboxMessage>& out) {
    json::error_code error;
    auto value = json::parse(body, error);
    auto const* array = error.failed() ? nullptr : value.if_array();
    if (array == nullptr) {
        return read_members<InboxMessage>(body, kMembers, out.emplace_back());
    }
    if (array->empty() || array->size() > kInboxBatchMax) {
        return RequestError{fmt::format("a batch has 1 to {} messages", kInboxBatchMax)};
    }
    for (auto const& item : *array) {
        auto wrong =
            read_members<InboxMessage>(json::serialize(item), kMembers, out.emplace_back());
        if (!wrong) continue;
        wrong->detail = fmt::format("message {}: {}", out.size() - 1, wrong->detail);
        return wrong;
    }
    return std::nullopt;
}

std::optional<RequestError> parse_read_upto(std::string_view body, std::string& out) {
    return read_members<std::string>(body, kReadMembers, out);
}

}  // namespace spoke::bridge
