#include "bridge/service/requests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstring>

#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using Status = RequestOutcome::Status;

/// What stands at `pointer` in a JSON payload, as text; nullopt if nothing does.
std::optional<std::string> value_at(Bytes payload, std::string const& pointer) {
    json::error_code error;
    auto document = json::parse(as_text(payload), error);
    if (error.failed()) return std::nullopt;
    auto const* value = document.find_pointer(pointer, error);
    if (error.failed() || value == nullptr) return std::nullopt;
    return json::serialize(*value);
}

/// The text of what is wrong with a wish; empty if nothing is.
std::string fault_of(RequestWish const& wish) {
    if (!mqtt::is_valid_topic_name(wish.message.topic)) return "the topic is no topic name";
    if (wish.message.retain) return "a request is not retained";
    if (wish.reply_topic.empty()) {
        return wish.match.empty() ? "" : "\"match\" goes with \"reply\" only";
    }
    if (!mqtt::is_valid_topic_name(wish.reply_topic)) return "\"reply\" is no topic name";
    if (wish.reply_topic == wish.message.topic) return "\"reply\" is the topic of the request";
    if (!wish.match.empty() && !value_at(wish.message.payload, wish.match)) {
        return fmt::format("the body is no JSON with a value at {}", wish.match);
    }
    return "";
}

RequestOutcome not_sent(mqtt::NotSent cause) {
    RequestOutcome outcome;
    outcome.status = Status::not_sent;
    outcome.cause = cause;
    outcome.why = mqtt::name_of(cause);
    return outcome;
}

Buffer correlation_of(std::uint64_t high, std::uint64_t low) {
    std::array<std::uint64_t, 2> words{high, low};
    Buffer out(sizeof words);
    std::memcpy(out.data(), words.data(), sizeof words);
    return out;
}

}  // namespace

std::string_view name_of(Status status) noexcept {
    switch (status) {
        case Status::answered:
            return "answered";
        case Status::sent:
            return "sent";
        case Status::nobody:
            return "nobody";
        case Status::refused:
            return "refused";
        case Status::not_sent:
            return "not_sent";
        case Status::invalid:
            return "invalid";
    }
    return "invalid";
}

std::string topic_level(std::string_view text) {
    std::string out;
    for (auto c : text) {
        auto is_plain = static_cast<unsigned char>(c) >= 0x20 && c != 0x7F &&
                        std::string_view{"/+#%"}.find(c) == std::string_view::npos;
        if (is_plain) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

Requests::Requests(Limits limits, std::string_view instance, std::vector<std::string> standing,
                   Uplink& uplink, std::function<std::uint64_t()> random)
    : limits_(limits),
      prefix_(fmt::format("$r/{}/", topic_level(instance))),
      standing_(std::move(standing)),
      uplink_(uplink),
      random_(std::move(random)) {}

void Requests::start(RequestWish wish, Done done, Now const& now) {
    if (auto fault = fault_of(wish); !fault.empty()) {
        RequestOutcome outcome;
        outcome.status = Status::invalid;
        outcome.why = std::move(fault);
        return done(outcome);
    }
    if (draining_) return done(not_sent(mqtt::NotSent::abandoned));
    auto topic = reply_topics_.find(wish.reply_topic);
    auto takes_turns = wish.match.empty() && topic != reply_topics_.end();
    if (requests_.size() >= limits_.open_max ||
        (takes_turns && topic->second.turns.size() >= limits_.waiting_max)) {
        ++counters_.refused_full;
        return done(not_sent(mqtt::NotSent::queue_full));
    }
    auto id = ++last_id_;
    Request request;
    request.message = std::move(wish.message);
    request.reply_topic = std::move(wish.reply_topic);
    request.match = std::move(wish.match);
    request.until = now.steady + wish.wait;
    request.done = std::move(done);
    if (!request.match.empty()) {
        request.match_value = *value_at(request.message.payload, request.match);
    }
    auto& expiry = request.message.properties.message_expiry_interval;
    if (!expiry) {
        auto seconds = std::chrono::ceil<std::chrono::seconds>(wish.wait).count();
        expiry = static_cast<std::uint32_t>(std::max<std::int64_t>(seconds, 1));
    }
    by_time_.emplace(request.until, id);
    auto is_v5 = request.reply_topic.empty();
    requests_.emplace(id, std::move(request));
    if (is_v5) {
        start_v5(id);
    } else {
        start_reply(id);
    }
}

void Requests::start_v5(Id id) {
    auto& properties = requests_.at(id).message.properties;
    auto low = random_();
    auto response_topic = fmt::format("{}{:016x}", prefix_, random_());
    properties.response_topic = response_topic;
    properties.correlation_data = correlation_of(random_(), low);
    by_response_topic_.emplace(std::move(response_topic), id);
    send(id);
}

void Requests::start_reply(Id id) {
    auto const& request = requests_.at(id);
    auto name = request.reply_topic;
    auto [at, is_new] = reply_topics_.try_emplace(name);
    auto& topic = at->second;
    if (request.match.empty()) {
        topic.turns.push_back(id);
    } else {
        topic.matching.insert(id);
    }
    if (is_new && !stands(name)) return subscribe(name);
    topic.ready = topic.ready || is_new;
    if (topic.ready) send_ready(name);
}

bool Requests::stands(std::string_view topic) const {
    return std::ranges::any_of(
        standing_, [&](std::string const& filter) { return mqtt::matches(filter, topic); });
}

void Requests::subscribe(std::string const& topic) {
    auto& reply = reply_topics_.at(topic);
    reply.ready = false;
    reply.attempt = ++attempts_;
    uplink_.subscribe(topic, [this, topic, attempt = reply.attempt](std::string_view why) {
        on_subscribed(topic, attempt, why);
    });
}

void Requests::on_subscribed(std::string const& topic, std::uint64_t attempt,
                             std::string_view why) {
    auto found = reply_topics_.find(topic);
    if (found == reply_topics_.end() || found->second.attempt != attempt) return;
    if (why.empty()) {
        found->second.ready = true;
        return send_ready(topic);
    }
    // Where the connection was lost, on_connected() subscribes again.
    if (why == mqtt::name_of(mqtt::RequestFailure::connection_lost)) return;
    auto ids = found->second.matching;
    ids.insert(found->second.turns.begin(), found->second.turns.end());
    for (auto id : ids) {
        RequestOutcome outcome;
        auto request = requests_.find(id);
        if (request == requests_.end()) continue;
        outcome.status = request->second.handed_over ? Status::sent : Status::refused;
        outcome.why = fmt::format("no subscription to {}: {}", topic, why);
        finish(id, std::move(outcome));
    }
}

void Requests::on_connected() {
    std::vector<std::string> topics;
    for (auto const& [name, topic] : reply_topics_) topics.push_back(name);
    for (auto const& name : topics) {
        if (reply_topics_.contains(name) && !stands(name)) subscribe(name);
    }
}

/// Everything in the topic that may leave now: all that have a `match`, and one of the others.
void Requests::send_ready(std::string const& topic) {
    auto const& reply = reply_topics_.at(topic);
    std::vector<Id> ids{reply.matching.begin(), reply.matching.end()};
    if (!reply.turns.empty()) ids.push_back(reply.turns.front());
    for (auto id : ids) {
        auto request = requests_.find(id);
        if (request != requests_.end() && !request->second.handed_over) send(id);
    }
}

void Requests::send(Id id) {
    auto& request = requests_.at(id);
    auto cause = uplink_.publish(
        request.message, request.until,
        [this, id](mqtt::PublishOutcome const& outcome) { on_published(id, outcome); });
    request.handed_over = cause == mqtt::NotSent::none;
    if (!request.handed_over) finish(id, not_sent(cause));
}

void Requests::on_published(Id id, mqtt::PublishOutcome const& outcome) {
    if (!requests_.contains(id)) return;  // answered, or its time was up
    RequestOutcome end;
    end.reason = outcome.reason;
    end.cause = outcome.cause;
    switch (outcome.status) {
        case mqtt::PublishStatus::sent:
        case mqtt::PublishStatus::unknown:
            return;
        case mqtt::PublishStatus::acknowledged:
            if (outcome.reason != mqtt::ReasonCode::no_matching_subscribers) return;
            end.status = Status::nobody;
            end.why = mqtt::name_of(outcome.reason);
            break;
        case mqtt::PublishStatus::refused:
            end.status = Status::refused;
            end.why = mqtt::name_of(outcome.reason);
            break;
        case mqtt::PublishStatus::not_sent:
            end.status = Status::not_sent;
            end.why = mqtt::name_of(outcome.cause);
            break;
    }
    finish(id, std::move(end));
}

bool Requests::wants(std::string_view topic) const {
    return topic.starts_with(prefix_) || reply_topics_.contains(topic);
}

void Requests::on_message(mqtt::Publish const& message) {
    auto id = message.topic.starts_with(prefix_) ? find_v5(message) : find_reply(message);
    if (!id) {
        ++counters_.answers_unmatched;
        return;
    }
    RequestOutcome outcome;
    outcome.status = Status::answered;
    outcome.answer = message;
    finish(*id, std::move(outcome));
}

std::optional<Requests::Id> Requests::find_v5(mqtt::Publish const& message) const {
    auto found = by_response_topic_.find(message.topic);
    if (found == by_response_topic_.end()) return std::nullopt;
    auto const& request = requests_.at(found->second);
    auto is_ours =
        request.message.properties.correlation_data == message.properties.correlation_data;
    return is_ours ? std::optional{found->second} : std::nullopt;
}

/// A stored message says nothing about a request of now.
std::optional<Requests::Id> Requests::find_reply(mqtt::Publish const& message) const {
    auto found = reply_topics_.find(message.topic);
    if (found == reply_topics_.end() || message.retain) return std::nullopt;
    auto const& reply = found->second;
    for (auto id : reply.matching) {
        auto const& request = requests_.at(id);
        if (!request.handed_over) continue;
        if (value_at(message.payload, request.match) == request.match_value) return id;
    }
    if (reply.turns.empty() || !requests_.at(reply.turns.front()).handed_over) return std::nullopt;
    return reply.turns.front();
}

void Requests::on_timer(Now const& now) {
    while (!by_time_.empty() && by_time_.begin()->first <= now.steady) {
        end_without_answer(by_time_.begin()->second, mqtt::NotSent::expired);
    }
}

std::optional<SteadyTime> Requests::next_deadline() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
}

void Requests::drain() {
    draining_ = true;
    while (!requests_.empty()) {
        end_without_answer(requests_.begin()->first, mqtt::NotSent::abandoned);
    }
}

void Requests::end_without_answer(Id id, mqtt::NotSent cause) {
    auto outcome = not_sent(cause);
    if (requests_.at(id).handed_over) outcome = {.status = Status::sent};
    finish(id, std::move(outcome));
}

/// Last of all, whoever asked is told: he may come back with the next request at once.
void Requests::finish(Id id, RequestOutcome outcome) {
    auto found = requests_.find(id);
    auto request = std::move(found->second);
    requests_.erase(found);
    by_time_.erase({request.until, id});
    if (request.reply_topic.empty()) {
        by_response_topic_.erase(*request.message.properties.response_topic);
    } else {
        leave_reply_topic(id, request.reply_topic);
    }
    request.done(outcome);
}

void Requests::leave_reply_topic(Id id, std::string const& topic) {
    auto found = reply_topics_.find(topic);
    auto& reply = found->second;
    reply.matching.erase(id);
    std::erase(reply.turns, id);
    if (reply.matching.empty() && reply.turns.empty()) {
        reply_topics_.erase(found);
        if (!stands(topic)) uplink_.unsubscribe(topic);
    } else if (reply.ready && !draining_) {
        send_ready(topic);
    }
}

}  // namespace spoke::bridge
