#include "bridge/api/event_wish.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "protocol/topic/filter_sets.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

bool wants_stream(HttpRequest const& request) {
    return std::ranges::any_of(list_items(request.header("Accept")), [](auto item) {
        auto type = item.substr(0, item.find(';'));
        while (type.ends_with(' ')) type.remove_suffix(1);
        return equal_ignoring_case(type, "text/event-stream");
    });
}

std::optional<RequestError> read_filters(Target const& target, std::size_t filters_max,
                                         EventsWish& out) {
    for (auto const& [name, value] : target.query) {
        if (name != "topic") continue;
        if (auto error = filter_error(value); !error.empty()) {
            return RequestError{std::string{error}, "topic"};
        }
        if (std::ranges::find(out.filters, value) == out.filters.end()) {
            out.filters.push_back(value);
        }
    }
    if (out.filters.size() > filters_max) {
        return RequestError{fmt::format("at most {} topics", filters_max), "topic"};
    }
    if (out.filters.empty() && out.form != EventsWish::Form::web_socket) {
        return RequestError{"\"topic\" is missing: an MQTT topic filter such as d/b42/%23",
                            "topic"};
    }
    return std::nullopt;
}

}  // namespace

std::string_view filter_error(std::string_view filter) noexcept {
    if (!mqtt::is_valid_topic_filter(filter)) {
        return "\"topic\" must be an MQTT topic filter such as d/b42/#";
    }
    if (mqtt::is_shared(filter)) return "events are not shared among readers: no $share";
    return {};
}

std::optional<RequestError> parse_events(HttpRequest const& request, Target const& target,
                                         std::size_t filters_max, EventsWish& out) {
    auto error = check_parameters(target, {"topic", "since", "wait", "limit", "token"});
    if (!error) error = parse_wait(request, target, out.wait);
    if (!error) error = parse_limit(target, out.limit);
    if (error) return error;
    if (wants_web_socket(request)) {
        out.form = EventsWish::Form::web_socket;
    } else if (wants_stream(request)) {
        out.form = EventsWish::Form::stream;
    }
    if (auto since = target.parameter("since")) out.since = *since;
    if (auto last = request.header("Last-Event-ID"); !last.empty()) out.since = last;
    return read_filters(target, filters_max, out);
}

std::optional<Problem> check_reader(Identity const& who, std::string const& filter) {
    auto needs = [&](std::string detail) {
        Problem problem{ProblemKind::scope, std::move(detail)};
        problem.members.emplace_back("needs", "events:" + filter);
        return problem;
    };
    if (!who.scopes.may_read(filter)) {
        return needs("the token or key has no scope events:<filter> that covers " + filter);
    }
    if (!who.devices || !mqtt::overlap(filter, "d/#")) return std::nullopt;
    mqtt::Levels levels{filter};
    auto first = levels.next();
    auto device = levels.next();
    if (first == "d" && device && *device != "+" && *device != "#" && who.may_see(*device)) {
        return std::nullopt;
    }
    return needs("the token is for other devices (claim \"dev\")");
}

std::string snapshot_of(std::string_view filter) {
    mqtt::Levels levels{filter};
    auto first = levels.next();
    auto second = levels.next();
    auto is_one = second && !second->empty() && *second != "+" && *second != "#";
    if (is_one && first == "u") return "/v1/inboxes/" + percent_encoded(*second);
    if (is_one && first == "d") return "/v1/devices/" + percent_encoded(*second);
    return "/v1/events?topic=" + percent_encoded(filter) + "&since=oldest";
}

Problem cursor_problem(CursorProblem reason, Cursor const& head, std::string_view filter) {
    Problem problem{ProblemKind::cursor, "go on from \"cursor\", after a look at \"snapshot\""};
    problem.members.emplace_back("reason", name_of(reason));
    problem.members.emplace_back("cursor", head.text());
    problem.members.emplace_back("snapshot", snapshot_of(filter));
    return problem;
}

Problem unreadable_log() {
    return {ProblemKind::log_full,
            "the store of the bridge cannot be read now",
            {},
            {{"Retry-After", "10"}}};
}

}  // namespace spoke::bridge
