// What comes to the bridge over HTTP and in its key files.
#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>

#include "bridge/access/access.hpp"
#include "bridge/api/command_request.hpp"
#include "bridge/api/device_request.hpp"
#include "bridge/api/event_operation.hpp"
#include "bridge/api/event_wish.hpp"
#include "bridge/api/parameters.hpp"
#include "bridge/api/target.hpp"
#include "protocol/topic/utf8.hpp"
#include "tests/fuzz/entry.hpp"

namespace spoke::fuzz {
namespace {

using namespace spoke::bridge;
namespace json = boost::json;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr WallTime kNow{std::chrono::milliseconds{1'795'374'000'000}};

bool is_one_line(std::string_view text) {
    return !text.empty() && std::ranges::none_of(text, [](unsigned char character) {
        return character < 0x20 || character == 0x7F;
    });
}

Finding check_error(RequestError const& error) {
    auto response = to_response(error);
    if (response.status != 400) return "an error with another status than 400";
    json::error_code bad;
    json::parse(response.body, bad);
    return bad.failed() ? Finding{"the problem is not JSON"} : std::nullopt;
}

std::string written(CommandRequest const& order) {
    json::object out{{"do", order.verb}, {"ttl_ms", order.ttl.count()}};
    if (!order.lane.empty()) out["lane"] = order.lane;
    if (!order.ref.empty()) out["ref"] = order.ref;
    if (!order.args.empty()) out["args"] = json::parse(order.args);
    if (!order.condition.empty()) out["if"] = json::parse(order.condition);
    out["if_offline"] = order.if_offline == IfOffline::fail ? "fail" : "wait";
    out["if_busy"] = order.fail_if_busy ? "fail" : "queue";
    out["deliver"] = order.deliver == Deliver::once ? "once" : "until";
    out["supersede"] = order.supersede;
    return json::serialize(out);
}

std::string written(DeviceRecord const& record) {
    return json::serialize(json::object{{"alias", record.alias},
                                        {"profile", record.profile},
                                        {"tags", json::value_from(record.tags)},
                                        {"deny", json::value_from(record.deny)}});
}

/// What `parse` makes of the text, or its error, which must be one line.
template <class Parse>
Finding check_file(Bytes input, Parse parse) {
    try {
        parse(as_text(input));
        return std::nullopt;
    } catch (std::invalid_argument const& error) {
        return is_one_line(error.what()) ? std::nullopt : Finding{"an error of several lines"};
    }
}

}  // namespace

Finding check_request_target(Bytes input) {
    auto target = parse_target(as_text(input));
    if (!target) return std::nullopt;
    std::string again;
    for (auto const& segment : target->segments) {
        if (!mqtt::is_valid_utf8(segment)) return "a segment is not UTF-8";
        again += "/" + percent_encoded(segment);
    }
    auto separator = '?';
    for (auto const& [name, value] : target->query) {
        if (!mqtt::is_valid_utf8(name + value)) return "a parameter is not UTF-8";
        again += separator + percent_encoded(name) + "=" + percent_encoded(value);
        separator = '&';
    }
    auto second = parse_target(again);
    if (!second || second->segments != target->segments || second->query != target->query) {
        return "written again it says something else";
    }
    WaitWish wish;
    if (auto error = parse_wait({}, *target, wish)) return check_error(*error);
    return wish.wait <= kWaitMax ? std::nullopt : Finding{"too long a wait"};
}

Finding check_command_body(Bytes input) {
    CommandRequest order;
    if (auto error = parse_command_request(as_text(input), "b42", order)) {
        return check_error(*error);
    }
    CommandRequest second;
    if (parse_command_request(written(order), "b42", second)) return "written again it is refused";
    // A verb without a lane has none to write.
    if (second != order) return "written again it is another order";
    return std::nullopt;
}

Finding check_device_body(Bytes input) {
    DeviceRecord record;
    if (auto error = parse_device_record(as_text(input), record)) return check_error(*error);
    DeviceRecord second;
    if (parse_device_record(written(record), second)) return "written again it is refused";
    return second == record ? std::nullopt : Finding{"written again it is another record"};
}

namespace {

Finding check_operation(EventOperation const& operation) {
    if (operation.kind != EventOperation::Kind::request) {
        auto is_wrong = operation.kind == EventOperation::Kind::subscribe &&
                        !filter_error(operation.topic).empty();
        return is_wrong ? Finding{"a filter that is none"} : std::nullopt;
    }
    auto const& request = operation.request;
    auto target = parse_target(request.target);
    if (request.method != "POST" || !target) return "a request that cannot be read";
    if (target->segments.size() < 3 || target->segments[0] != "v1") return "a path of nobody";
    auto is_json = request.header("Content-Type") == "application/json";
    json::error_code bad;
    if (is_json) json::parse(request.body, bad);
    return bad.failed() ? Finding{"a body that is not JSON"} : std::nullopt;
}

}  // namespace

Finding check_event_operation(Bytes input) {
    auto result = parse_event_operation(as_text(input));
    auto const* error = std::get_if<RequestError>(&result.operation);
    if (error == nullptr) {
        auto finding = check_operation(std::get<EventOperation>(result.operation));
        if (finding) return finding;
    } else if (auto finding = check_error(*error)) {
        return finding;
    }
    auto answer = operation_answer(result.q, {}, error ? to_response(*error) : HttpResponse{});
    json::error_code bad;
    auto value = json::parse(answer, bad);
    if (bad.failed() || !value.is_object()) return "the answer is not a JSON object";
    if (value.as_object().contains("q") == result.q.empty()) return "the answer has another q";
    return value.at("ok").as_bool() == (error == nullptr) ? std::nullopt
                                                          : Finding{"the answer says otherwise"};
}

Finding check_token(Bytes input) {
    static auto const kKeys = std::vector{parse_secret(kSecret)};
    auto text = as_text(input);
    auto result = verify_token(text, kKeys, {}, kNow);
    if (!std::holds_alternative<Token>(result)) return std::nullopt;
    auto dot = text.rfind('.');
    auto signature = base64url(bytes_of(hmac_sha256(kSecret, text.substr(0, dot))));
    if (text.substr(dot + 1) != signature) return "a token that the key did not sign";
    auto const& token = std::get<Token>(result);
    return kNow < token.ends ? std::nullopt : Finding{"a token that has expired"};
}

Finding check_key_set(Bytes input) {
    return check_file(input, [](std::string_view text) {
        for (auto const& key : parse_key_set(text)) {
            static_cast<void>(key.verifies("text", std::string(64, 's')));
        }
    });
}

Finding check_api_keys(Bytes input) {
    return check_file(input, [](std::string_view text) {
        Access access{{}, {{}, parse_api_keys(text), true}};
        static_cast<void>(access.identify("Bearer spoke_x", kNow));
    });
}

}  // namespace spoke::fuzz
