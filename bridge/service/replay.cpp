#include "bridge/service/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "bridge/service/feed.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

constexpr std::size_t kFiltersMax = 64;
constexpr std::size_t kPayloadBytesMax = 64 * 1024;

std::string error_of(std::string_view why) {
    json::object out{{"error", why}};
    return json::serialize(out);
}

std::string reset_of(CursorProblem reason, Cursor const& cursor) {
    return fmt::format(R"({{"reason":"{}","cursor":"{}"}})", name_of(reason), cursor.text());
}

std::string text_of(json::value const& value) {
    auto const& text = value.get_string();
    return {text.data(), text.size()};
}

bool is_filter(std::string_view text) {
    return mqtt::is_valid_utf8(text) && mqtt::is_valid_topic_filter(text) && !mqtt::is_shared(text);
}

/// "topic": one filter, or an array of them. Out: why not; empty: they are read.
std::string read_filters(json::value const& value, std::vector<std::string>& out) {
    if (value.is_string()) {
        out.push_back(text_of(value));
    } else if (auto const* array = value.if_array()) {
        for (auto const& item : *array) {
            if (!item.is_string()) return "\"topic\" is a topic filter, or an array of them";
            out.push_back(text_of(item));
        }
    }
    if (out.empty()) return "\"topic\" is a topic filter, or an array of them";
    if (out.size() > kFiltersMax) return fmt::format("more than {} topic filters", kFiltersMax);
    if (!std::ranges::all_of(out, is_filter)) return "\"topic\" holds what is no topic filter";
    return {};
}

}  // namespace

std::variant<Replay::Wish, std::string> Replay::read(Bytes payload) {
    json::error_code error;
    auto text = as_text(payload);
    if (text.size() > kPayloadBytesMax) return "the request is too long";
    auto value = json::parse({text.data(), text.size()}, error);
    auto const* object = error.failed() ? nullptr : value.if_object();
    if (object == nullptr) return "the request is no JSON object";
    Wish wish;
    auto const* topic = object->if_contains("topic");
    if (topic == nullptr) return "\"topic\" is missing";
    if (auto why = read_filters(*topic, wish.filters); !why.empty()) return why;
    auto const* since = object->if_contains("since");
    if (since == nullptr || !since->is_string()) {
        return "\"since\" is a cursor, such as \"k7.1042\", or \"oldest\"";
    }
    wish.since = text_of(*since);
    if (auto const* limit = object->if_contains("limit")) {
        error.clear();
        wish.limit = limit->is_number() ? limit->to_number<std::size_t>(error) : 0;
        if (error.failed() || wish.limit < 1 || wish.limit > kLimitMax) {
            return fmt::format("\"limit\" is a number from 1 to {}", kLimitMax);
        }
    }
    if (auto const* token = object->if_contains("token")) {
        if (!token->is_string()) return "\"token\" is a text";
        wish.token = text_of(*token);
    }
    return wish;
}

bool Replay::on_request(mqtt::Publish const& message) {
    auto const& properties = message.properties;
    if (!properties.response_topic) return false;
    Run run;
    run.topic = *properties.response_topic;
    run.correlation = properties.correlation_data;
    auto is_ours = run.topic.starts_with(settings_.prefix) &&
                   run.topic.size() > settings_.prefix.size() &&
                   mqtt::is_valid_topic_name(run.topic);
    if (!is_ours) return false;
    auto wish = read(message.payload);
    if (auto const* why = std::get_if<std::string>(&wish)) {
        end(run, error_of(*why));
    } else {
        start(std::get<Wish>(wish), std::move(run));
    }
    return true;
}

void Replay::start(Wish const& wish, Run run) {
    if (runs_.size() >= settings_.runs_max) {
        return end(run, error_of("too many replays are under way; try again in a second"));
    }
    auto refusal =
        world_.may_read ? world_.may_read(wish.token, wish.filters, world_.clock()) : std::string{};
    if (!refusal.empty()) return end(run, error_of(refusal));
    auto place = world_.log.locate(wish.since, wish.filters);
    if (auto const* problem = std::get_if<CursorProblem>(&place)) {
        return end(run, reset_of(*problem, world_.log.head()));
    }
    run.position = std::get<std::uint64_t>(place);
    run.filters = wish.filters;
    if (run.position == 0) run.known_removed = world_.log.removed_upto(run.filters);
    run.left = wish.limit;
    auto id = ++last_id_;
    runs_.emplace(id, std::move(run));
    pump(id);
}

/// A page at a time, as the broker takes them.
void Replay::pump(std::uint64_t id) {
    auto found = runs_.find(id);
    if (found == runs_.end()) return;
    auto& run = found->second;
    auto room = std::min(run.left, kWindow - std::min(run.open, kWindow));
    if (room == 0) return;  // an answer makes some
    auto page = world_.log.read(run.position, run.filters, room);
    if (page.removed_upto > std::max(run.position, run.known_removed)) {
        end(run, reset_of(CursorProblem::too_old, {world_.log.epoch(), page.removed_upto}));
        runs_.erase(found);
        return;
    }
    for (auto const& event : page.events) {
        if (!send(id, run, *event)) {
            // The answers that are still to come make room; else it is tried again soon.
            if (run.open == 0) {
                world_.wake_at(world_.clock().steady + std::chrono::milliseconds{100});
            }
            return;
        }
        run.position = event->offset();
        --run.left;
    }
    run.position = std::max(run.position, page.position);
    if (page.is_end || run.left == 0) {
        end(run, fmt::format(R"({{"next":"{}","more":{},"resumed":true}})",
                             Cursor{world_.log.epoch(), run.position}.text(), !page.is_end));
        runs_.erase(found);
        return;
    }
    auto pause = page.is_stuck ? std::chrono::seconds{1} : std::chrono::seconds{0};
    if (run.open < kWindow) world_.wake_at(world_.clock().steady + pause);
}

bool Replay::send(std::uint64_t id, Run& run, LoggedEvent const& event) {
    auto message = message_of(event, run.topic);
    message.properties.correlation_data = run.correlation;
    message.properties.user_properties.push_back({"topic", event.event().topic});
    return publish(id, run, std::move(message));
}

bool Replay::publish(std::uint64_t id, Run& run, mqtt::Publish message) {
    auto done = [this, id](mqtt::PublishOutcome const&) {
        auto found = runs_.find(id);
        if (found == runs_.end()) return;
        --found->second.open;
        // Not for each of them: a page costs a look into the log.
        if (found->second.open <= kWindow / 2) pump(id);
    };
    auto cause = publish_event(world_.uplink, std::move(message), done);
    if (cause == mqtt::NotSent::none) ++run.open;
    // A place that the broker does not take even without its payload is left out.
    return cause == mqtt::NotSent::none || cause == mqtt::NotSent::too_large ||
           cause == mqtt::NotSent::property_invalid || cause == mqtt::NotSent::topic_invalid;
}

void Replay::end(Run const& run, std::string payload) {
    mqtt::Publish message;
    message.topic = run.topic;
    message.payload = to_buffer(payload);
    message.qos = mqtt::Qos::at_least_once;
    message.properties.correlation_data = run.correlation;
    message.properties.user_properties.push_back({"end", "1"});
    // Whoever does not get it asks again.
    static_cast<void>(
        world_.uplink.publish(message, std::nullopt, [](mqtt::PublishOutcome const&) {}));
}

void Replay::on_timer() {
    std::vector<std::uint64_t> ids;
    for (auto const& [id, run] : runs_) ids.push_back(id);
    for (auto id : ids) pump(id);
}

void Replay::on_broker() {
    runs_.clear();
}

}  // namespace spoke::bridge
