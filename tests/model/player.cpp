#include "tests/model/player.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "protocol/codec/encode.hpp"
#include "tests/model/matching.hpp"

namespace spoke::model {

using mqtt::Qos;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr Millis kTick = 50;  // the broker's timers
constexpr int kPhases = 10;   // divides all intervals that are used
constexpr Millis kRestartPhase = Player::kClients;
constexpr int kTriesMax = 5000;  // else a sequence that fails takes for ever to be made shorter
constexpr std::uint8_t kReader = 255;  // no shard: its side of the store reads for the test

constexpr std::array kTopics{"a", "a/b", "a/b/c", "b", "b/b", "/", "a/", "a//b", "$x/a"};
constexpr std::array kFilters{"a/b",
                              "a",
                              "#",
                              "+/b",
                              "a/#",
                              "a/+",
                              "+",
                              "/+",
                              "+/+",
                              "a/b/c",
                              "$x/#",
                              "+/b/#",
                              "b",
                              "b/+",
                              "+/#",
                              "a//b",
                              "a/+/b",
                              "+/b/c",
                              "$share/g/a/b",
                              "$share/g/#",
                              "$share/h/a/b",
                              "$share/g/+/b",
                              "$share/g/a",
                              "$share/h/+"};
constexpr std::array kBadFilters{"a#", "a/#/b", "+a", "$share/g", "$share//a", "$share/+/a", ""};

template <class Table>
auto const& pick(Table const& table, int number) {
    return table[static_cast<std::size_t>(number) % std::size(table)];
}

Qos qos_of(int number) {
    return static_cast<Qos>(number % 3);
}

struct Setting {
    std::uint8_t shards;
    Rules rules;
    std::uint32_t queue_window = 128;
    bool holds = false;  // the store holds back what it is given, now and then
};

Setting limits_of(int number) {
    switch (number) {
        case 1:
            return {3, {}};
        case 2:
            return {1, {.receive_maximum = 2, .inflight_max = 2}};
        case 3:
            return {1, {.inflight_max = 1, .queue_messages_max = 3}};
        case 4:
            return {3, {.receive_maximum = 3, .inflight_max = 3, .queue_messages_max = 2}};
        case 5:
            return {1, {.topic_alias_max = 2, .keep_alive_max = 6, .session_expiry_max = 5}};
        case 6:
            return {3, {.session_expiry_max = 20, .subscriptions_per_session_max = 3}};
        default:
            return {1, {}};
    }
}

/// All combinations of limits, store and what is done at a full queue.
Setting setting_of(int number) {
    auto setting = limits_of(number % Player::kLimits);
    int store = number / Player::kLimits % Player::kStores;
    setting.rules.is_durable = store > 0;
    constexpr std::array<std::uint32_t, Player::kStores> kWindows{128, 2, 5, 128, 2};
    setting.queue_window = pick(kWindows, store);
    setting.holds = store == 4;
    // What another shard has not stored yet cannot be seen where it is in the store alone.
    if (setting.holds && setting.shards > 1) setting.queue_window = 128;
    // What is dropped is stored apart from what it makes room for: too much for the model.
    if (setting.holds) setting.rules.queue_messages_max = Rules{}.queue_messages_max;
    int policy = number / Player::kLimits / Player::kStores;
    constexpr std::array kPolicies{WhenFull::reject, WhenFull::drop_new, WhenFull::drop_oldest,
                                   WhenFull::reject};
    setting.rules.when_full = pick(kPolicies, policy);
    setting.rules.rejection_closes_v3 = policy == 0;
    for (char client = 'a'; client < 'a' + Player::kClients; ++client) {
        std::string id(1, client);
        setting.rules.shards[id] = broker::home_shard(id, setting.shards);
    }
    return setting;
}

broker::QueueFull queue_full_of(WhenFull when_full) {
    switch (when_full) {
        case WhenFull::reject:
            return broker::QueueFull::reject;
        case WhenFull::drop_oldest:
            return broker::QueueFull::drop_oldest;
        case WhenFull::drop_new:
            return broker::QueueFull::drop_new;
    }
    return {};
}

test::ScriptOptions options_of(Setting const& setting) {
    auto const& rules = setting.rules;
    test::ScriptOptions options;
    options.shards = setting.shards;
    options.link.receive_maximum = rules.receive_maximum;
    options.link.inflight_max = rules.inflight_max;
    options.link.topic_alias_max = rules.topic_alias_max;
    options.link.keep_alive_max = rules.keep_alive_max;
    options.settings.queue_messages_max = rules.queue_messages_max;
    options.settings.queue_full = queue_full_of(rules.when_full);
    options.settings.rejection_closes_v3 = rules.rejection_closes_v3;
    options.settings.queue_window = setting.queue_window;
    options.link.session_expiry_max = rules.session_expiry_max;
    options.settings.subscriptions_per_session_max = rules.subscriptions_per_session_max;
    options.fail = [](std::string const& what) { throw Disagreement{what}; };
    options.keeps_log = false;
    return options;
}

Stage stage_of(broker::OutboundState state) {
    using broker::OutboundState;
    return state == OutboundState::awaiting_puback   ? Stage::awaiting_puback
           : state == OutboundState::awaiting_pubrec ? Stage::awaiting_pubrec
                                                     : Stage::awaiting_pubcomp;
}

bool is_traced() {
    static bool const traced = std::getenv("SPOKE_MODEL_TRACE") != nullptr;
    return traced;
}

std::string text_of(Version version) {
    return version == Version::v5 ? "5" : version == Version::v3_1_1 ? "3.1.1" : "3.1";
}

std::string text_of(mqtt::Subscribe const& packet) {
    auto text = fmt::format("SUBSCRIBE id {}", packet.id.value);
    if (auto id = packet.subscription_identifier) text += fmt::format(" sub id {}", *id);
    for (auto const& [filter, options] : packet.subscriptions) {
        text += fmt::format(" '{}' QoS {}{}{} retain handling {}", filter,
                            static_cast<int>(options.qos), options.no_local ? " no local" : "",
                            options.retain_as_published ? " retain as published" : "",
                            static_cast<int>(options.retain_handling));
    }
    return text;
}

std::string text_of(mqtt::Connect const& packet) {
    auto text = fmt::format("CONNECT {} clean {}", text_of(packet.version), packet.clean_start);
    if (auto value = packet.session_expiry_interval) text += fmt::format(" expiry {}", *value);
    if (packet.keep_alive > 0) text += fmt::format(" keep alive {}", packet.keep_alive);
    if (auto value = packet.receive_maximum) text += fmt::format(" receive maximum {}", *value);
    if (auto value = packet.maximum_packet_size) text += fmt::format(" packet size {}", *value);
    if (auto value = packet.topic_alias_maximum) text += fmt::format(" aliases {}", *value);
    if (auto const& will = packet.will) {
        text += fmt::format(" will '{}' '{}' QoS {}{} delay {}", will->topic,
                            as_text(will->payload), static_cast<int>(will->qos),
                            will->retain ? " RETAIN" : "", will->will_delay_interval.value_or(0));
        if (auto value = will->properties.message_expiry_interval) {
            text += fmt::format(" expiry {}", *value);
        }
    }
    return text;
}

std::string text_of(mqtt::Packet const& packet) {
    if (auto const* subscribe = std::get_if<mqtt::Subscribe>(&packet)) return text_of(*subscribe);
    if (auto const* unsubscribe = std::get_if<mqtt::Unsubscribe>(&packet)) {
        return fmt::format("UNSUBSCRIBE id {} '{}'", unsubscribe->id.value,
                           fmt::join(unsubscribe->filters, "' '"));
    }
    auto text = test::describe(packet);
    if (auto const* disconnect = std::get_if<mqtt::Disconnect>(&packet)) {
        if (auto expiry = disconnect->session_expiry_interval) {
            text += fmt::format(" expiry {}", *expiry);
        }
    }
    return text;
}

/// Whether it may hold two deliveries of one message of which only one came through a share group.
/// Who takes over that one if the session ends can be told only if they look different, which takes
/// subscription identifiers, and so MQTT 5.
bool may_hold_twins(Session const& session) {
    auto is_shared = [](auto const& delivery) { return !delivery.share.empty(); };
    return std::ranges::any_of(session.waiting, is_shared) ||
           std::ranges::any_of(session.in_flight, is_shared, &InFlight::delivery) ||
           std::ranges::any_of(session.subscriptions, [](auto const& entry) {
               return entry.first.starts_with("$share/");
           });
}

Buffer buffer_of(std::string_view text) {
    auto bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

}  // namespace

Player::Player(int setting) : setting_(setting), rules_(setting_of(setting).rules), model_(rules_) {
    start(test::ScriptOptions{}.start);
}

Player::~Player() = default;

void Player::start(Now now) {
    auto options = options_of(setting_of(setting_));
    options.start = now;
    options.store = &volatile_store_;
    if (rules_.is_durable) options.store = &durable_store_;
    script_ = std::make_unique<test::Script>(std::move(options));
    for (LinkId link = 0; link < kLinks; ++link) {
        auto shard = static_cast<std::uint8_t>(link % setting_of(setting_).shards);
        real(link).on_shard(shard);
    }
}

std::string Player::client_of(LinkId link) {
    return std::string(1, static_cast<char>('a' + link % kClients));
}

std::string Player::name_of(LinkId link) {
    return client_of(link) + (link < kClients ? "1" : "2");
}

test::ScriptLink& Player::real(LinkId link) {
    return script_->link(name_of(link));
}

LinkId Player::connected_from(LinkId link) const {
    for (LinkId next = link; next < link + kLinks; ++next) {
        if (model_.connection(next % kLinks) != nullptr) return next % kLinks;
    }
    return -1;
}

void Player::note(std::string text) {
    auto line = fmt::format("[{:6.2f} s] {}", static_cast<double>(model_.now()) / 1000, text);
    if (is_traced()) std::fprintf(stderr, "%s\n", line.c_str());
    trace_.push_back(std::move(line));
}

std::string Player::trace() const {
    return fmt::format("{}", fmt::join(trace_, "\n"));
}

// --- Steps ---

template <class Real, class Event>
void Player::step(std::string text, Real&& do_it, Event&& tell, bool is_open) {
    if (!text.empty()) note(std::move(text));
    // Only where a choice is possible is there a need to go back.
    std::optional<Model> before;
    if (is_open || model_.has_choices()) before = model_;
    do_it();
    Seen seen = observe();
    Copies copies = before ? copies_of(seen) : Copies{};
    std::vector<std::size_t> choices;
    Finding first;
    for (int tries = 0;; ++tries) {
        model_.set_choices(choices, copies);
        tell();
        auto finding = model_.check(seen);
        if (!finding) break;
        if (!first) first = finding;
        // The next combination: what comes after a choice depends on it, so the last ones go first.
        auto const& possibilities = model_.possibilities();
        choices.resize(possibilities.size());
        while (!choices.empty() && ++choices.back() == possibilities[choices.size() - 1]) {
            choices.pop_back();
        }
        if (choices.empty() || tries > kTriesMax) throw Disagreement{*first};
        model_ = *before;
    }
    if (holds_) history_.push_back(model_);
}

void Player::send(LinkId link, std::vector<mqtt::Packet> const& packets) {
    await_turn_of(link);
    Connection const* connection = model_.connection(link);
    if (connection == nullptr) return;  // it timed out meanwhile
    std::string text;
    Buffer bytes;
    for (auto const& packet : packets) {
        text += fmt::format("{}{}", text.empty() ? "" : " + ", text_of(packet));
        mqtt::encode(packet, connection->version, bytes);
    }
    step(
        fmt::format("{} sends {}", name_of(link), text),
        [&] {
            for (auto const& packet : packets) real(link).notes(packet);
            real(link).sends_bytes(bytes);
        },
        [&] {
            for (auto const& packet : packets) {
                if (model_.connection(link) != nullptr) model_.receive(link, packet);
            }
        });
}

void Player::pass(Millis time) {
    for (Millis end = model_.now() + time; model_.now() < end;) {
        Millis next = std::min(end, model_.next_timer());
        std::chrono::milliseconds wait{next - model_.now()};
        step(
            "", [&] { script_->pass(wait); }, [&] { model_.advance(next); });
    }
}

void Player::await_turn_of(LinkId link) {
    await_phase(link % kClients);
}

void Player::await_phase(Millis phase) {
    auto now = (model_.now() / kTick) % kPhases;
    pass((phase - now + kPhases) % kPhases * kTick);
}

Seen Player::observe() {
    Seen seen;
    for (LinkId link = 0; link < kLinks; ++link) {
        auto& packets = seen.packets[link];
        while (real(link).waiting() > 0) packets.push_back(real(link).takes_any());
        if (real(link).is_open()) seen.open.insert(link);
    }
    for (int client = 0; client < kClients; ++client) {
        auto id = client_of(client);
        if (auto* session = script_->session(id)) seen.sessions[id] = observe_session(*session);
    }
    for (std::string topic : kTopics) {
        auto message = script_->retained().find(topic, script_->now().wall);
        if (!message) continue;
        seen.retained[topic] = {
            topic, std::string{as_text(message->payload())}, message->qos(), message->retain(), {}};
    }
    using broker::Counters;
    seen.wills =
        wills_before_ + script_->count([](Counters const& c) { return c.wills_published.read(); });
    seen.connections = script_->count([](Counters const& c) { return c.connections.read(); });
    seen.subscriptions = script_->index().subscription_count();
    if (rules_.is_durable) {
        seen.stored_sessions = durable_store_.session_count();
        seen.stored_deliveries = durable_store_.delivery_count();
    }
    return seen;
}

Copies Player::copies_of(Seen const& seen) {
    Copies copies;
    for (auto const& [link, packets] : seen.packets) {
        for (auto const& packet : packets) {
            auto const* publish = std::get_if<mqtt::Publish>(&packet);
            if (publish == nullptr) continue;
            ++copies[{client_of(link), std::string{as_text(publish->payload)}}];
        }
    }
    for (auto const& [client, session] : seen.sessions) {
        for (auto const& each : session.queue) ++copies[{client, each.payload}];
    }
    return copies;
}

SeenSession Player::observe_session(broker::Session const& session) {
    SeenSession seen;
    for (std::uint32_t i = 0; i < session.queue.size(); ++i) {
        seen.queue.push_back(observe_delivery(session, session.queue[i]));
    }
    session.window.each_open([&](broker::Outbound const& outbound) {
        auto stage = stage_of(outbound.state);
        SeenInFlight in_flight{.id = outbound.id.value, .stage = stage};
        bool goes_again = stage != Stage::awaiting_pubcomp &&
                          (outbound.delivery.message || outbound.delivery.is_stored());
        if (goes_again) in_flight.delivery = observe_delivery(session, outbound.delivery);
        seen.window.push_back(std::move(in_flight));
    });
    return seen;
}

SeenDelivery Player::observe_delivery(broker::Session const& session,
                                      broker::Delivery const& delivery) {
    auto message = delivery.message;
    if (delivery.is_on_disk()) message = read(session.number, delivery.as());
    return observe_delivery(message, delivery);
}

template <class Delivery>
SeenDelivery Player::observe_delivery(broker::MessagePtr const& message, Delivery const& delivery) {
    if (!message) throw Disagreement{"the store has lost the message of a delivery"};
    SeenDelivery seen{std::string{message->topic()},
                      std::string{as_text(message->payload())},
                      delivery.qos,
                      delivery.retain,
                      {}};
    delivery.ids.each([&](std::uint32_t id) { seen.identifiers.push_back(id); });
    std::ranges::sort(seen.identifiers);
    return seen;
}

broker::MessagePtr Player::read(broker::SessionNumber session, broker::StoredAs as) {
    auto& reader = durable_store_.of_shard(kReader);
    reader.read({}, session, {&as, 1});
    std::vector<broker::LoadedMessage> loaded;
    reader.take_loaded(loaded);
    return loaded.at(0).message;
}

// --- Actions ---

void Player::play(Action const& action) {
    if (action.kind == Kind::restart) {
        // Rare where it ends all that was built up.
        if (rules_.is_durable || action.a % 4 == 0) restart(action);
        return;
    }
    if (action.kind == Kind::hold_store) return hold_store(action);
    LinkId link = connected_from(action.link);
    if (action.kind == Kind::connect || link < 0) link = action.link;
    if (holds_ && !may_be_held(link, action)) let_go();
    if (action.kind == Kind::pass_time) {
        constexpr std::array<Millis, 8> kTimes{50, 450, 1000, 1500, 2000, 3250, 7000, 31'000};
        Millis time = pick(kTimes, action.a);
        note(fmt::format("{} ms go by", time));
        return pass(time);
    }
    bool is_open = model_.connection(link) != nullptr;
    if (action.kind == Kind::connect || !is_open) return connect(link, action);
    switch (action.kind) {
        case Kind::subscribe:
            return subscribe(link, action);
        case Kind::unsubscribe:
            return unsubscribe(link, action);
        case Kind::publish:
            return publish(link, action);
        case Kind::publish_several:
            return publish_several(link, action);
        case Kind::answer:
            return answer(link, action);
        case Kind::release:
            return release(link, action);
        case Kind::odd_answer:
            return odd_answer(link, action);
        case Kind::ping:
            return send(link, {mqtt::PingReq{}});
        case Kind::disconnect:
            return disconnect(link, action);
        case Kind::cut:
            return cut(link);
        case Kind::connect:
        case Kind::pass_time:
        case Kind::restart:
        case Kind::hold_store:
            return;
    }
}

void Player::connect(LinkId link, Action const& action) {
    constexpr std::array<std::uint32_t, 6> kExpiries{0, 60, 1, 3, 10, mqtt::kSessionNeverExpires};
    constexpr std::array kVersions{Version::v5, Version::v3_1_1, Version::v5, Version::v3_1};
    await_turn_of(link);
    mqtt::Connect packet;
    packet.version = pick(kVersions, action.a);
    auto const* session = model_.session(client_of(link));
    if (session != nullptr && may_hold_twins(*session)) packet.version = Version::v5;
    bool is_open = model_.connection(link) != nullptr;
    if (is_open) packet.version = model_.connection(link)->version;
    packet.clean_start = action.a / 4 % 3 == 2;
    if (action.a / 16 % 4 == 3) packet.keep_alive = static_cast<std::uint16_t>(2 + action.a % 8);
    if (action.b % 3 == 2) packet.will = any_will(action);
    if (packet.version == Version::v5) {
        if (action.b / 4 % 8 > 0) {
            packet.session_expiry_interval = pick(kExpiries, action.b / 4 % 8 + 5);
        }
        if (action.d % 4 == 3) {
            packet.receive_maximum = static_cast<std::uint16_t>(1 + action.d / 4 % 4);
        }
        if (action.d % 5 == 4) {
            packet.topic_alias_maximum = static_cast<std::uint16_t>(1 + action.d / 5 % 3);
        }
        // A full queue and one that drops what is too large together: too much for the model.
        if (action.d % 7 == 6 && rules_.queue_messages_max > 100) {
            packet.maximum_packet_size = static_cast<std::uint32_t>(60 + action.d / 7);
        }
    } else if (packet.will) {
        packet.will->will_delay_interval.reset();
        packet.will->properties = {};
    }
    packet.client_id = client_of(link);
    test::ConnectBuilder builder{packet.version};
    builder.id(packet.client_id).with([&](mqtt::Connect& connect) { connect = packet; });
    step(
        fmt::format("{} sends {}", name_of(link), text_of(packet)),
        [&] { real(link).sends(builder); }, [&] { model_.connect(link, packet); });
}

mqtt::Will Player::any_will(Action const& action) {
    constexpr std::array<std::uint32_t, 5> kDelays{0, 1, 2, 5, 0};
    mqtt::Will will;
    will.topic = pick(kTopics, action.c);
    will.payload = buffer_of("will " + next_payload(0));
    will.qos = qos_of(action.c / 10);
    will.retain = action.c / 30 % 3 == 2;
    if (action.c / 90 > 0) will.payload.clear();
    std::uint32_t delay = pick(kDelays, action.d);
    if (delay > 0) will.will_delay_interval = delay;
    if (action.d % 3 == 2) will.properties.message_expiry_interval = 1 + action.d % 5;
    if (action.d % 11 == 10) will.properties.content_type = "will";
    return will;
}

std::string Player::next_payload(int size_class) {
    auto text = std::to_string(++payloads_);
    constexpr std::array<std::size_t, 8> kSizes{0, 0, 0, 0, 30, 50, 100, 9000};
    auto size = pick(kSizes, size_class);
    if (size > 0) text += ':' + std::string(size, '.');
    return text;
}

mqtt::Publish Player::any_publish(LinkId link, Action const& action) {
    constexpr std::array<std::uint32_t, 8> kExpiries{0, 0, 0, 0, 1, 2, 5, 20};
    Connection const& connection = *model_.connection(link);
    mqtt::Publish packet;
    packet.topic = pick(kTopics, action.a);
    packet.qos = qos_of(action.b);
    packet.retain = action.b / 3 % 4 == 3;
    bool is_empty = packet.retain && action.b / 12 % 3 == 2;
    if (!is_empty) packet.payload = buffer_of(next_payload(action.c % 8));
    if (action.d % 61 == 60) packet.topic = "$SYS/x";
    if (packet.qos == Qos::at_least_once) {
        packet.id = mqtt::PacketId{static_cast<std::uint16_t>(100 + payloads_ % 1000)};
    } else if (packet.qos == Qos::exactly_once) {
        packet.id = mqtt::PacketId{static_cast<std::uint16_t>(1 + action.d % 5)};
        packet.dup = model_.session(connection.client)->held.contains(packet.id.value);
    }
    if (!connection.is_v5()) return packet;
    if (auto expiry = pick(kExpiries, action.c / 8)) {
        packet.properties.message_expiry_interval = expiry;
    }
    if (action.c / 64 == 3) {
        packet.properties.content_type = "text";
        packet.properties.correlation_data = buffer_of("c");
        packet.properties.user_properties = {{"k", "v"}, {"k", "w"}};
    }
    if (action.d / 8 % 4 == 3) {
        packet.topic_alias = static_cast<std::uint16_t>(1 + action.d % 3);
        if (action.d / 64 % 2 == 1 && connection.theirs.contains(*packet.topic_alias)) {
            packet.topic.clear();
        }
        if (action.d == 255) packet.topic.clear();  // whether or not the alias is known
    }
    return packet;
}

void Player::publish(LinkId link, Action const& action) {
    await_turn_of(link);
    if (model_.connection(link) != nullptr) send(link, {any_publish(link, action)});
}

void Player::publish_several(LinkId link, Action const& action) {
    await_turn_of(link);
    Connection const* connection = model_.connection(link);
    // The next one of QoS 1 would end the connection in the middle of the write. It may do so as
    // long as the one before it waits for the disk.
    if (connection == nullptr || connection->open.size() >= rules_.receive_maximum) return;
    auto room = rules_.receive_maximum - connection->open.size();
    std::vector<mqtt::Packet> packets;
    for (int i = 0; i < 2 + action.a % 3; ++i) {
        auto packet = any_publish(
            link, {action.kind, link, action.b + i % 2, action.c + i, action.d + 3 * i, 0});
        // Those of QoS 2 might end the connection by their number.
        if (packet.qos == Qos::exactly_once) {
            packet.qos = Qos::at_least_once;
            packet.dup = false;
            packet.id = mqtt::PacketId{static_cast<std::uint16_t>(100 + payloads_ % 1000)};
        }
        if (packet.qos == Qos::at_least_once && rules_.is_durable && room-- == 0) break;
        packets.emplace_back(std::move(packet));
    }
    if (!packets.empty()) send(link, packets);
}

void Player::subscribe(LinkId link, Action const& action) {
    await_turn_of(link);
    if (model_.connection(link) == nullptr) return;
    bool v5 = model_.connection(link)->is_v5();
    mqtt::Subscribe packet;
    packet.id = mqtt::PacketId{static_cast<std::uint16_t>(1 + action.d % 8)};
    if (v5 && action.d / 8 % 3 > 0) {
        packet.subscription_identifier = static_cast<std::uint32_t>(1 + action.d / 24);
    }
    int count = action.d % 5 == 4 ? 2 : 1;
    for (int i = 0; i < count; ++i) {
        mqtt::Subscription wanted;
        wanted.filter = pick(kFilters, action.a + i * action.d);
        if (action.c / 32 == 7) wanted.filter = pick(kBadFilters, action.a + i);
        wanted.options.qos = qos_of(action.b + i);
        if (v5) {
            wanted.options.no_local = action.b / 3 % 4 == 3;
            wanted.options.retain_as_published = action.b / 12 % 2 == 1;
            wanted.options.retain_handling =
                static_cast<mqtt::RetainHandling>(action.c % 4 == 3 ? 0 : action.c % 4);
            bool closes = wanted.options.no_local && wanted.filter.starts_with("$share");
            if (closes && action.d % 8 != 7) wanted.options.no_local = false;
        }
        packet.subscriptions.push_back(std::move(wanted));
    }
    auto const& session = *model_.session(client_of(link));
    auto const& filter = packet.subscriptions.front().filter;
    if (is_shared(filter) && v5) {
        packet.subscriptions.resize(1);
        packet.subscription_identifier = static_cast<std::uint32_t>(
            100 + std::ranges::find(kFilters, filter) - kFilters.begin());
    } else {
        auto& wanted = packet.subscriptions;
        if (is_shared(filter) || is_shared(wanted.back().filter)) wanted.resize(1);
        bool may_clash =
            is_shared(filter) ? !session.subscriptions.empty() : may_hold_twins(session);
        if (!v5 && may_clash) return;
    }
    send(link, {packet});
}

void Player::unsubscribe(LinkId link, Action const& action) {
    await_turn_of(link);
    if (model_.connection(link) == nullptr) return;
    auto const& subscriptions = model_.session(client_of(link))->subscriptions;
    mqtt::Unsubscribe packet;
    packet.id = mqtt::PacketId{static_cast<std::uint16_t>(1 + action.d % 8)};
    for (int i = 0; i < 1 + action.c % 2; ++i) {
        if (subscriptions.empty() || action.b % 5 == 4) {
            packet.filters.push_back(pick(kFilters, action.a + i));
        } else {
            auto place = static_cast<std::size_t>(action.a + i) % subscriptions.size();
            packet.filters.push_back(
                std::next(subscriptions.begin(), static_cast<std::ptrdiff_t>(place))->first);
        }
    }
    send(link, {packet});
}

void Player::answer(LinkId link, Action const& action) {
    await_turn_of(link);
    if (model_.connection(link) == nullptr) return;
    auto const& in_flight = model_.session(client_of(link))->in_flight;
    if (in_flight.empty()) return;
    auto place = static_cast<std::size_t>(action.a % 3 == 2 ? action.b : 0) % in_flight.size();
    auto const& each = *std::next(in_flight.begin(), static_cast<std::ptrdiff_t>(place));
    if (each.is_held) return;  // nobody has seen it
    mqtt::PacketId id{each.id};
    auto reason = ReasonCode::success;
    if (model_.connection(link)->is_v5() && action.c % 8 > 5) {
        reason =
            action.c % 8 == 7 ? ReasonCode::unspecified_error : ReasonCode::no_matching_subscribers;
    }
    switch (each.stage) {
        case Stage::awaiting_puback:
            return send(link, {mqtt::PubAck{id, reason, {}, {}}});
        case Stage::awaiting_pubrec:
            return send(link, {mqtt::PubRec{id, reason, {}, {}}});
        case Stage::awaiting_pubcomp:
            return send(link, {mqtt::PubComp{id, ReasonCode::success, {}, {}}});
    }
}

void Player::release(LinkId link, Action const& action) {
    await_turn_of(link);
    if (model_.connection(link) == nullptr) return;
    auto const& held = model_.session(client_of(link))->held;
    mqtt::PubRel packet;
    packet.id = mqtt::PacketId{static_cast<std::uint16_t>(1 + action.a % 5)};
    if (!held.empty() && action.b % 8 < 7) {
        auto place = static_cast<std::size_t>(action.a) % held.size();
        packet.id = mqtt::PacketId{*std::next(held.begin(), static_cast<std::ptrdiff_t>(place))};
    }
    send(link, {packet});
}

void Player::odd_answer(LinkId link, Action const& action) {
    mqtt::PacketId id{static_cast<std::uint16_t>(1 + action.b % 6)};
    bool v5 = model_.connection(link)->is_v5();
    auto reason = v5 && action.c % 4 == 3 ? ReasonCode::quota_exceeded : ReasonCode::success;
    switch (action.a % 3) {
        case 0:
            return send(link, {mqtt::PubAck{id, reason, {}, {}}});
        case 1:
            return send(link, {mqtt::PubRec{id, reason, {}, {}}});
        default:
            return send(link, {mqtt::PubComp{id, ReasonCode::success, {}, {}}});
    }
}

void Player::disconnect(LinkId link, Action const& action) {
    constexpr std::array<std::uint32_t, 4> kExpiries{0, 2, 10, 60};
    mqtt::Disconnect packet;
    if (model_.connection(link)->is_v5()) {
        if (action.a % 3 == 2) packet.reason = ReasonCode::disconnect_with_will_message;
        if (action.b % 3 == 2) packet.session_expiry_interval = pick(kExpiries, action.c);
    }
    send(link, {packet});
}

void Player::cut(LinkId link) {
    await_turn_of(link);
    if (model_.connection(link) == nullptr) return;
    step(
        fmt::format("{} is cut", name_of(link)), [&] { real(link).drops(); },
        [&] { model_.cut(link); });
}

namespace {

/// When the session will do something if the process ends now: at once what is due.
std::set<Millis> times_of(Session const& session, Millis now) {
    std::set<Millis> times;
    if (!session.is_stored) return times;
    if (!session.link) {
        times.insert(std::max(now, session.expires_at));
        if (session.will) times.insert(std::max(now, session.will_at));
    } else {
        if (session.expiry != mqtt::kSessionNeverExpires) {
            times.insert(now + Millis{session.expiry} * 1000);
        }
        if (session.will) {
            auto delay = session.will->will_delay_interval.value_or(0);
            times.insert(now + Millis{delay} * 1000);
        }
    }
    times.erase(kNever);
    return times;
}

/// Whether two would do something at the same moment.
bool is_crowded(Model const& model, Millis now) {
    std::set<Millis> taken;
    for (auto const& [client, session] : model.sessions()) {
        for (auto time : times_of(session, now)) {
            if (!taken.insert(time).second) return true;
        }
    }
    return false;
}

}  // namespace

/// All connections end at one moment, and what comes of that runs from there: who would do
/// something at the same moment as another ends his connection before.
void Player::await_restart() {
    for (;;) {
        await_phase(kRestartPhase);
        bool is_clear = std::ranges::none_of(
            history_, [this](auto const& each) { return is_crowded(each, model_.now()); });
        if (holds_ && !is_clear) let_go();
        LinkId link = in_the_way_of_restart();
        if (link < 0) return;
        cut(link);
    }
}

LinkId Player::in_the_way_of_restart() const {
    std::set<Millis> taken;
    for (auto const& [client, session] : model_.sessions()) {
        if (!session.link) taken.merge(times_of(session, model_.now()));
    }
    for (LinkId link = 0; link < kLinks; ++link) {
        if (model_.connection(link) == nullptr) continue;
        auto own = times_of(*model_.session(client_of(link)), model_.now());
        for (auto time : own) {
            if (taken.contains(time)) return link;
        }
        taken.merge(own);
    }
    return -1;
}

void Player::restart(Action const& action) {
    using broker::Counters;
    await_restart();
    wills_before_ += script_->count([](Counters const& c) { return c.wills_published.read(); });
    auto now = script_->now();
    if (holds_) {
        auto count = static_cast<std::size_t>(action.b % 16);
        note(fmt::format("{} submits become durable", count));
        durable_store_.release_some(count);
    }
    script_.reset();
    durable_store_.crash();
    note("the broker starts again");
    if (rules_.is_durable) model_ = stored_model(observe_store(now));
    holds_ = false;
    history_.clear();
    step(
        "",
        [&] {
            start(now);
            script_->pass(std::chrono::milliseconds{kTick});
        },
        [&] {
            model_.restart();
            model_.advance(model_.now() + kTick);
        },
        true);
}

/// Which state was stored: the latest that it can be, if something was held back.
Model Player::stored_model(SeenStore const& seen) const {
    auto candidates = history_;
    if (candidates.empty()) candidates.push_back(model_);
    std::string findings;
    for (auto each = candidates.rbegin(); each != candidates.rend(); ++each) {
        auto finding = each->check_store(seen, model_);
        if (!finding) return *each;
        findings += fmt::format("{}{}", findings.empty() ? "" : "; or ", *finding);
    }
    throw Disagreement{findings};
}

namespace {

/// Writes down what a store holds, in the model's terms.
class StoreReader final : public broker::StoreVisitor {
public:
    using Read = std::function<SeenDelivery(broker::StoredDelivery const&)>;
    explicit StoreReader(Read read) : read_(std::move(read)) {}

    void on_session(broker::StoredSession session) override {
        names_[session.number.value] = session.client_id;
        auto& seen = seen_.sessions[session.client_id].session;
        seen.expiry = session.expiry_interval;
        seen.is_connected = session.is_connected;
        seen.expires_at = time_of(session.expires_at);
        seen.will_at = time_of(session.will_at);
        if (session.will) seen.will = model::text_of(*session.will);
    }
    void on_subscription(broker::SessionNumber session, std::string_view filter,
                         broker::StoredSubscription const& stored) override {
        Subscription subscription{.identifier = stored.identifier};
        subscription.options.qos = stored.qos;
        subscription.options.no_local = stored.no_local;
        subscription.options.retain_as_published = stored.retain_as_published;
        of(session).session.subscriptions[std::string{filter}] = model::text_of(subscription);
    }
    void on_inbound(broker::SessionNumber session, mqtt::PacketId id) override {
        of(session).session.held.insert(id.value);
    }
    void on_delivery(broker::StoredDelivery delivery,
                     std::optional<broker::StoredProgress> progress) override {
        deliveries_.emplace_back(std::move(delivery), progress);  // who visits may not read
    }
    void on_retained(broker::MessagePtr message) override {
        std::string topic{message->topic()};
        seen_.retained[topic] = {
            topic, std::string{as_text(message->payload())}, message->qos(), message->retain(), {}};
    }

    [[nodiscard]] SeenStore finish() {
        std::map<SeenSession*, std::map<std::uint64_t, SeenInFlight>> sent;
        for (auto const& [delivery, progress] : deliveries_) {
            auto& deliveries = of(delivery.session).deliveries;
            if (!progress) {
                deliveries.queue.push_back(read_(delivery));
                continue;
            }
            auto id = (progress->send_number - 1) % 65'535 + 1;
            SeenInFlight in_flight{.id = static_cast<std::uint16_t>(id),
                                   .stage = stage_of(progress->state),
                                   .released = progress->released};
            if (in_flight.stage != Stage::awaiting_pubcomp) in_flight.delivery = read_(delivery);
            sent[&deliveries].emplace(progress->send_number, std::move(in_flight));
        }
        for (auto& [deliveries, in_flight] : sent) {
            for (auto& [number, each] : in_flight) deliveries->window.push_back(std::move(each));
        }
        return std::move(seen_);
    }

private:
    [[nodiscard]] SeenStored& of(broker::SessionNumber session) {
        return seen_.sessions.at(names_.at(session.value));
    }
    [[nodiscard]] static Millis time_of(broker::Deadline deadline) {
        static auto const kStart = test::ScriptOptions{}.start.wall.time_since_epoch().count();
        return deadline == broker::kNever ? kNever : deadline - kStart;
    }

    Read read_;
    SeenStore seen_{};
    std::map<std::uint64_t, std::string> names_{};
    std::vector<std::pair<broker::StoredDelivery, std::optional<broker::StoredProgress>>>
        deliveries_{};
};

}  // namespace

SeenStore Player::observe_store(Now now) {
    StoreReader reader{[this](broker::StoredDelivery const& delivery) {
        return observe_delivery(read(delivery.session, delivery.as), delivery);
    }};
    durable_store_.load(reader, now.wall);
    return reader.finish();
}

void Player::hold_store(Action const& action) {
    if (!setting_of(setting_).holds) return;
    if (holds_) return action.a % 3 == 0 ? let_go() : restart(action);
    note("the store holds back what it gets");
    durable_store_.hold();
    model_.hold();
    holds_ = true;
    history_ = {model_};
}

void Player::let_go() {
    holds_ = false;
    history_.clear();
    step(
        "the store goes on",
        [&] {
            durable_store_.release();
            script_->jump(std::chrono::milliseconds{0});
        },
        [&] { model_.let_go(); });
}

/// Whether the model can follow what becomes of it while the store holds.
bool Player::may_be_held(LinkId link, Action const& action) const {
    constexpr std::size_t kEventsMax = 8;
    constexpr std::array kKinds{Kind::connect, Kind::subscribe, Kind::unsubscribe, Kind::publish,
                                Kind::answer,  Kind::release,   Kind::disconnect,  Kind::cut};
    if (history_.size() > kEventsMax || model_.awaits_connack(link)) return false;
    if (std::ranges::find(kKinds, action.kind) == kKinds.end()) return false;
    auto const* connection = model_.connection(link);
    // Publishes that are not acknowledged yet count against the receive maximum.
    return connection == nullptr || action.kind != Kind::publish ||
           connection->open.size() + model_.due_count(link) < rules_.receive_maximum;
}

void Player::finish() {
    if (holds_) let_go();
    for (int client = 0; client < kClients; ++client) {
        if (model_.connection(client) != nullptr) cut(client);
        connect(client, {.kind = Kind::connect, .link = client, .a = 8});  // clean, no expiry
        if (model_.connection(client) != nullptr) cut(client);
    }
    auto queued = script_->count([](auto const& c) { return c.queued_bytes.read(); });
    auto sessions = script_->count([](auto const& c) { return c.sessions.read(); });
    auto levels = script_->index().level_count();
    auto stored = durable_store_.session_count() + durable_store_.delivery_count() +
                  durable_store_.message_count();
    if (stored != 0) throw Disagreement{"without a session, something is left in the store"};
    if (queued != 0 || sessions != 0 || levels != 0) {
        throw Disagreement{fmt::format(
            "without a session, {} bytes are counted as queued, {} sessions and {} levels of filters",
            queued, sessions, levels)};
    }
}

}  // namespace spoke::model
