#include <fmt/format.h>

#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/documents.hpp"

namespace spoke::bridge {
namespace {

std::optional<RequestError> parse_query(Target const& target, CommandQuery& out) {
    auto error = check_parameters(target, {"open", "limit", "after"});
    if (!error) error = parse_flag(target, "open", out.open_only);
    if (!error) error = parse_limit(target, out.limit);
    if (error) return error;
    if (auto text = target.parameter("after")) {
        out.before = CommandId::parse(*text);
        if (!out.before) return RequestError{"\"after\" must be the id of a command", "after"};
    }
    return std::nullopt;
}

}  // namespace

/// Newest first: what stands `after` a command is older.
void Api::list_commands(Call call) {
    CommandQuery query;
    query.device = call.parts[0];
    if (auto error = parse_query(call.target, query)) return call.respond(to_response(*error));
    auto limit = query.limit;
    ++query.limit;  // one more tells whether there is a next page
    auto commands = service_.commands(query);
    if (commands.empty() && service_.devices().find(query.device) == nullptr) {
        return call.refuse({ProblemKind::no_such_device,
                            "no birth or state of it has been seen",
                            {{"device", query.device}}});
    }
    auto has_more = commands.size() > limit;
    if (has_more) commands.resize(limit);
    std::vector<std::string> documents;
    for (auto const& command : commands) {
        auto latest = service_.find_command(command.id);  // the store may be a moment behind
        if (query.open_only && latest && is_settled(latest->state)) continue;
        documents.push_back(command_document(latest ? *latest : command));
    }
    auto response = list_response(call.request, "commands", documents);
    if (has_more) {
        response.headers.emplace_back(
            "Link", fmt::format("</v1/devices/{}/commands?limit={}&after={}{}>; rel=\"next\"",
                                percent_encoded(query.device), limit, commands.back().id.text(),
                                query.open_only ? "&open=1" : ""));
    }
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
