#include <fmt/format.h>

#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/documents.hpp"

namespace spoke::bridge {
namespace {

std::optional<RequestError> parse_query(Target const& target, AuditQuery& out) {
    auto error = check_parameters(target, {"device", "actor", "since", "after", "limit"});
    if (!error) error = parse_limit(target, out.limit);
    if (error) return error;
    if (auto text = target.parameter("device")) out.device = *text;
    if (auto text = target.parameter("actor")) out.who = *text;
    if (auto text = target.parameter("since")) {
        auto since = parse_rfc3339(*text);
        if (!since) {
            return RequestError{"\"since\" must be a time such as 2026-11-22T19:00:00Z", "since"};
        }
        out.since = *since;
    }
    if (auto text = target.parameter("after")) {
        auto number = parse_number(*text, 0, INT64_MAX);
        if (!number) return RequestError{"\"after\" must be the number of a line", "after"};
        out.after = *number;
    }
    return std::nullopt;
}

std::string next_link(Target const& target, AuditLine const& last) {
    std::string link = "/v1/audit?";
    for (auto const& [name, value] : target.query) {
        if (name != "after") link += name + "=" + percent_encoded(value) + "&";
    }
    return fmt::format("<{}after={}>; rel=\"next\"", link, last.number);
}

}  // namespace

/// One line of JSON for each line of the trail, oldest first.
void Api::audit(Call call) {
    AuditQuery query;
    if (auto error = parse_query(call.target, query)) return call.respond(to_response(*error));
    if (call.who.devices && !call.who.may_see(query.device)) {
        return call.refuse(other_device_problem(query.device));
    }
    auto lines = service_.audit(query);
    HttpResponse response;
    response.content_type = "application/x-ndjson";
    for (auto const& line : lines) response.body += audit_document(line) + "\n";
    if (lines.size() == query.limit) {
        response.headers.emplace_back("Link", next_link(call.target, lines.back()));
    }
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
