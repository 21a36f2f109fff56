#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/documents.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

struct Circle {
    double lat = 0;
    double lon = 0;
    double metres = 0;
};

/// A page of the list of devices, as asked for.
struct PageWish {
    std::size_t limit = 100;
    std::string after{};
    std::optional<std::string> presence{};
    std::vector<std::string> tags{};
    std::optional<Circle> near{};
};

std::optional<double> parse_real(std::string_view text, double min, double max) {
    double out = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (!(out >= min && out <= max)) return std::nullopt;
    return out;
}

/// "31.23,121.47,500"
std::optional<Circle> parse_circle(std::string_view text) {
    auto numbers = list_items(text);
    if (numbers.size() != 3) return std::nullopt;
    auto lat = parse_real(numbers[0], -90, 90);
    auto lon = parse_real(numbers[1], -180, 180);
    auto metres = parse_real(numbers[2], 0, 20'100'000);
    if (!lat || !lon || !metres) return std::nullopt;
    return Circle{*lat, *lon, *metres};
}

std::optional<RequestError> parse_presence(std::string_view text, PageWish& out) {
    std::vector<std::string_view> names;
    for (auto p : {Presence::online, Presence::quiet, Presence::offline, Presence::asleep}) {
        if (name_of(p) == text) out.presence = text;
        names.push_back(name_of(p));
    }
    if (out.presence) return std::nullopt;
    return RequestError{"\"state\" must be online, quiet, offline or asleep", "state",
                        std::string{nearest_name(text, names)}};
}

std::optional<RequestError> parse_page(Target const& target, PageWish& out) {
    auto error = check_parameters(target, {"limit", "after", "state", "tag", "near"});
    if (!error) error = parse_limit(target, out.limit);
    if (error) return error;
    if (auto text = target.parameter("after")) out.after = *text;
    for (auto const& [name, value] : target.query) {
        if (name == "tag") out.tags.push_back(value);
    }
    if (auto text = target.parameter("near")) {
        out.near = parse_circle(*text);
        if (!out.near) {
            return RequestError{
                "\"near\" must be latitude,longitude,metres such as 31.23,121.47,500", "near"};
        }
    }
    if (auto text = target.parameter("state")) return parse_presence(*text, out);
    return std::nullopt;
}

std::optional<double> number_at(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    return value->to_number<double>();
}

/// On a sphere, which is near enough for "which bikes are around me".
double metres_between(Circle const& a, double lat, double lon) {
    constexpr double kEarthRadius = 6'371'000;
    constexpr double kDegree = std::numbers::pi / 180;
    auto sin_lat = std::sin((lat - a.lat) * kDegree / 2);
    auto sin_lon = std::sin((lon - a.lon) * kDegree / 2);
    auto h =
        sin_lat * sin_lat + std::cos(a.lat * kDegree) * std::cos(lat * kDegree) * sin_lon * sin_lon;
    return 2 * kEarthRadius * std::asin(std::min(1.0, std::sqrt(h)));
}

/// By the position in its last state; a device without one is nowhere.
bool is_within(Circle const& circle, Device const& device) {
    json::error_code error;
    auto state = json::parse(device.state, error);
    auto const* object = error.failed() ? nullptr : state.if_object();
    auto const* pos = object == nullptr ? nullptr : object->if_contains("pos");
    if (pos == nullptr || !pos->is_object()) return false;
    auto lat = number_at(pos->get_object(), "lat");
    auto lon = number_at(pos->get_object(), "lon");
    return lat && lon && metres_between(circle, *lat, *lon) <= circle.metres;
}

bool is_wanted(PageWish const& wish, Device const& device, Presence presence) {
    if (wish.presence && *wish.presence != name_of(presence)) return false;
    for (auto const& tag : wish.tags) {
        if (!device.record || !std::ranges::binary_search(device.record->tags, tag)) return false;
    }
    return !wish.near || is_within(*wish.near, device);
}

/// A page as it grows. It ends at the limit, and sooner if there is much to say or to look at: a
/// turn of the loop must be short.
class Page {
public:
    Page(PageWish const& wish, Identity const& who, Service const& service)
        : wish_(wish), who_(who), service_(service) {}

    /// Out: false if the page is full, and begins behind the last device the next time.
    bool add(Device const& device) {
        constexpr std::size_t kVisitedMax = 10'000;
        constexpr std::size_t kBytesMax = 1'000'000;
        if (documents.size() >= wish_.limit || visited_ >= kVisitedMax || bytes_ >= kBytesMax) {
            next = last_;
            return false;
        }
        // To look into a state costs as much as to look at many devices.
        visited_ += wish_.near ? 5 : 1;
        last_ = device.id;
        if (!who_.may_see(device.id)) return true;
        auto presence = service_.devices().presence(device, service_.now().steady);
        if (!is_wanted(wish_, device, presence)) return true;
        documents.push_back(device_document(device, presence));
        bytes_ += documents.back().size();
        return true;
    }

    std::vector<std::string> documents{};
    std::string next{};  // the last device looked at, if there may be more behind it

private:
    PageWish const& wish_;  // these three outlive the page
    Identity const& who_;
    Service const& service_;
    std::size_t visited_ = 0;
    std::size_t bytes_ = 0;
    std::string last_{};
};

std::string next_link(PageWish const& wish, std::string const& next) {
    auto link = fmt::format("/v1/devices?limit={}&after={}", wish.limit, percent_encoded(next));
    if (wish.presence) link += "&state=" + *wish.presence;
    for (auto const& tag : wish.tags) link += "&tag=" + percent_encoded(tag);
    if (wish.near) {
        link += fmt::format("&near={},{},{}", wish.near->lat, wish.near->lon, wish.near->metres);
    }
    return link;
}

}  // namespace

void Api::list_devices(Call call) {
    PageWish wish;
    if (auto error = parse_page(call.target, wish)) return call.respond(to_response(*error));
    Page page{wish, call.who, service_};
    if (call.who.devices) {
        for (auto const& id : *call.who.devices) {
            auto const* device = id > wish.after ? service_.devices().find(id) : nullptr;
            if (device != nullptr && !page.add(*device)) break;
        }
    } else {
        service_.devices().visit(wish.after,
                                 [&page](Device const& device) { return page.add(device); });
    }
    auto response = list_response(call.request, "devices", page.documents);
    if (!page.next.empty()) {
        response.headers.emplace_back("Link", "<" + next_link(wish, page.next) + ">; rel=\"next\"");
    }
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
