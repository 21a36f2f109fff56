#include <fmt/format.h>

#include <optional>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/command_request.hpp"
#include "bridge/api/documents.hpp"
#include "bridge/api/problem.hpp"

namespace spoke::bridge {
namespace {

/// A page of the list of devices, as asked for.
struct PageWish {
    std::uint64_t limit = 100;
    std::string after{};
    std::optional<std::string> presence{};
};

std::optional<RequestError> parse_page(Target const& target, PageWish& out) {
    if (auto error = check_parameters(target, {"limit", "after", "state"})) return error;
    if (auto text = target.parameter("limit")) {
        auto limit = parse_number(*text, 1, 1000);
        if (!limit) return RequestError{"\"limit\" must be a number from 1 to 1000", "limit"};
        out.limit = *limit;
    }
    if (auto text = target.parameter("after")) out.after = *text;
    if (auto text = target.parameter("state")) {
        std::vector<std::string_view> names;
        for (auto p : {Presence::online, Presence::quiet, Presence::offline, Presence::asleep}) {
            if (name_of(p) == *text) out.presence = *text;
            names.push_back(name_of(p));
        }
        if (!out.presence) {
            return RequestError{"\"state\" must be online, quiet, offline or asleep", "state",
                                std::string{nearest_name(*text, names)}};
        }
    }
    return std::nullopt;
}

struct Page {
    std::vector<std::string> documents;
    std::string next;  // the last device looked at, if there are more behind it
};

Page read_page(Service const& service, PageWish const& wish) {
    constexpr std::size_t kVisitedMax = 10'000;  // a page may be short, a turn of the loop must be
    Page page;
    auto now = service.now().steady;
    std::size_t visited = 0;
    std::string last;
    service.devices().visit(wish.after, [&](Device const& device) {
        if (page.documents.size() == wish.limit || visited == kVisitedMax) {
            page.next = last;
            return false;
        }
        ++visited;
        last = device.id;
        auto presence = service.devices().presence(device, now);
        if (!wish.presence || *wish.presence == name_of(presence)) {
            page.documents.push_back(device_document(device, presence));
        }
        return true;
    });
    return page;
}

std::string next_link(PageWish const& wish, std::string const& next) {
    auto link = fmt::format("/v1/devices?limit={}&after={}", wish.limit, percent_encoded(next));
    if (wish.presence) link += "&state=" + *wish.presence;
    return link;
}

}  // namespace

void Api::list_devices(Call call) {
    PageWish wish;
    if (auto error = parse_page(call.target, wish)) return call.respond(to_response(*error));
    auto page = read_page(service_, wish);
    HttpResponse response;
    auto as_lines =
        call.request.header("Accept").find("application/x-ndjson") != std::string_view::npos;
    if (as_lines) {
        response.content_type = "application/x-ndjson";
        for (auto const& document : page.documents) response.body += document + "\n";
    } else {
        response.body = "{\"devices\":[";
        for (auto const& document : page.documents) {
            if (&document != &page.documents.front()) response.body += ',';
            response.body += document;
        }
        response.body += "]}";
    }
    if (!page.next.empty()) {
        response.headers.emplace_back("Link", "<" + next_link(wish, page.next) + ">; rel=\"next\"");
    }
    call.respond(std::move(response));
}

void Api::show_device(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    auto const* device = service_.devices().find(call.parts[0]);
    if (device == nullptr) {
        return call.respond(to_response(Problem{404,
                                                "no-such-device",
                                                "There is no such device",
                                                "no birth or state of it has been seen",
                                                {{"device", call.parts[0]}}}));
    }
    HttpResponse response;
    auto presence = service_.devices().presence(*device, service_.now().steady);
    response.body = device_document(*device, presence);
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
