#include "bridge/api/device_request.hpp"

#include <algorithm>
#include <array>

#include "bridge/api/json_members.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

constexpr std::size_t kTextMax = 128;
constexpr std::size_t kListMax = 64;

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

bool read_text(json::value const& value, std::string& out) {
    out.clear();
    if (value.is_null()) return true;
    auto const* text = value.if_string();
    if (text == nullptr || text->size() > kTextMax || std::ranges::any_of(*text, is_control)) {
        return false;
    }
    out = std::string_view{*text};
    return true;
}

/// A set of words: sorted, each once.
bool read_words(json::value const& value, std::vector<std::string>& out) {
    out.clear();
    if (value.is_null()) return true;
    auto const* list = value.if_array();
    if (list == nullptr || list->size() > kListMax) return false;
    for (auto const& item : *list) {
        auto const* text = item.if_string();
        auto is_word = [](char c) { return !is_control(c) && c != ' ' && c != ','; };
        if (text == nullptr || text->empty() || text->size() > 64 ||
            !std::ranges::all_of(*text, is_word)) {
            return false;
        }
        out.emplace_back(std::string_view{*text});
    }
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return true;
}

constexpr std::array kMembers{
    JsonMember<DeviceRecord>{
        "alias", "a text of at most 128 bytes without control characters, or null",
        [](json::value const& v, DeviceRecord& r) { return read_text(v, r.alias); }},
    JsonMember<DeviceRecord>{
        "profile", "a text of at most 128 bytes without control characters, or null",
        [](json::value const& v, DeviceRecord& r) { return read_text(v, r.profile); }},
    JsonMember<DeviceRecord>{
        "tags", "an array of at most 64 words of 1 to 64 bytes without blanks and commas, or null",
        [](json::value const& v, DeviceRecord& r) { return read_words(v, r.tags); }},
    JsonMember<DeviceRecord>{
        "deny", "an array of at most 64 verbs, or \"*\" for all of them, or null",
        [](json::value const& v, DeviceRecord& r) { return read_words(v, r.deny); }},
};

}  // namespace

std::optional<RequestError> parse_device_record(std::string_view body, DeviceRecord& record) {
    return read_members<DeviceRecord>(body, kMembers, record);
}

bool is_device_id(std::string_view id) {
    auto is_bad = [](char c) { return is_control(c) || c == '/' || c == '+' || c == '#'; };
    return !id.empty() && id.size() <= 128 && std::ranges::none_of(id, is_bad);
}

}  // namespace spoke::bridge
