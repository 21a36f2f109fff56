#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <set>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/documents.hpp"
#include "bridge/api/json_members.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

struct TokenRequest {
    Scopes scopes{};
    std::optional<seconds> ttl{};
    std::optional<std::vector<std::string>> devices{};
};

bool read_scope(json::value const& value, TokenRequest& out) {
    auto const* text = value.if_string();
    if (text == nullptr) return false;
    std::string_view rest{*text};
    auto count = 0;
    while (!rest.empty()) {
        auto blank = std::min(rest.find(' '), rest.size());
        if (blank > 0 && !add_scope(rest.substr(0, blank), out.scopes)) return false;
        if (blank > 0) ++count;
        rest.remove_prefix(std::min(blank + 1, rest.size()));
    }
    return count > 0;
}

bool read_ttl(json::value const& value, TokenRequest& out) {
    json::error_code error;
    auto s = value.is_number() ? value.to_number<std::int64_t>(error) : 0;
    if (error.failed() || s < 1 || s > 86'400) return false;
    out.ttl = seconds{s};
    return true;
}

bool read_devices(json::value const& value, TokenRequest& out) {
    constexpr std::size_t kDevicesMax = 1'000;
    auto const* array = value.if_array();
    if (array == nullptr || array->empty() || array->size() > kDevicesMax) return false;
    std::set<std::string> devices;
    for (auto const& item : *array) {
        auto const* text = item.if_string();
        if (text == nullptr || text->empty() || text->size() > 128) return false;
        devices.emplace(std::string_view{*text});
    }
    out.devices.emplace(devices.begin(), devices.end());
    return true;
}

constexpr std::array kMembers{
    JsonMember<TokenRequest>{"scope",
                             "scopes separated by blanks: devices:read, devices:write, "
                             "command:<verb>, publish:<filter>, events:<filter>, inbox:<who>, "
                             "inbox:write, audit, admin",
                             read_scope, true},
    JsonMember<TokenRequest>{"ttl_s", "a whole number from 1 to 86400", read_ttl},
    JsonMember<TokenRequest>{"dev", "a list of 1 to 1000 device ids", read_devices},
};

/// Devices that the caller may not see himself.
std::optional<std::string> foreign_device(Identity const& who, TokenRequest const& wish) {
    if (!wish.devices) return std::nullopt;
    for (auto const& device : *wish.devices) {
        if (!who.may_see(device)) return device;
    }
    return std::nullopt;
}

}  // namespace

/// A token for what cannot send a header. It has a part of the caller's rights, for a short time.
void Api::make_token(Call call) {
    if (auto problem = check_json(call.request)) return call.refuse(*problem);
    TokenRequest wish;
    auto error = check_parameters(call.target, {});
    if (!error) error = read_members<TokenRequest>(call.request.body, kMembers, wish);
    if (!error && wish.ttl && *wish.ttl > settings_.token_ttl_max) {
        error = RequestError{
            fmt::format("\"ttl_s\" is above tokens.ttl_max, {} s", settings_.token_ttl_max.count()),
            "ttl_s"};
    }
    if (error) return call.respond(to_response(*error));
    if (!call.who.scopes.include(wish.scopes)) {
        return call.refuse({ProblemKind::scope, "the token would have more than its maker has"});
    }
    if (auto device = foreign_device(call.who, wish)) {
        return call.refuse(other_device_problem(std::move(*device)));
    }
    auto now = service_.now().wall;
    auto ends = now + wish.ttl.value_or(settings_.token_ttl);
    if (call.who.ends) ends = std::min(ends, *call.who.ends);
    // What it opens lives as long as its maker's credentials, not as the token.
    auto who = call.who;
    who.scopes = std::move(wish.scopes);
    if (wish.devices) who.devices = std::move(wish.devices);
    auto token = short_tokens().make(std::move(who), ends, now);
    if (!token) {
        return call.refuse({ProblemKind::rate,
                            "tokens.open_max tokens are waiting to be used",
                            {},
                            {{"Retry-After", "5"}}});
    }
    HttpResponse response;
    response.status = 201;
    response.body = fmt::format(R"({{"token":"{}","expires_at":"{}"}})", *token, rfc3339(ends));
    response.headers.emplace_back("Cache-Control", "no-store");
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
