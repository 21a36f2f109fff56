#include "device-sim/load/workload.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "device-sim/load/load_failure.hpp"
#include "device-sim/load/rate_clock.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/packet/subscribe.hpp"

namespace spoke::sim::load {
namespace {

using std::chrono::seconds;

constexpr seconds kSetUpPatience{10};
constexpr std::chrono::milliseconds kTickMax{100};
constexpr seconds kPingInterval{1};
constexpr std::uint32_t kConnectionsPerSource = 25'000;
constexpr std::uint32_t kSourcesMax = 200;  // 127.0.0.1 .. 127.0.0.200

Route resolve(Settings const& settings) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    auto port = std::to_string(settings.port);
    auto error = ::getaddrinfo(settings.host.c_str(), port.c_str(), &hints, &found);
    if (error != 0) {
        throw LoadFailure{fmt::format("{}: {}", settings.host, ::gai_strerror(error))};
    }
    Route route;
    std::memcpy(&route.target, found->ai_addr, found->ai_addrlen);
    route.target_size = found->ai_addrlen;
    ::freeaddrinfo(found);
    return route;
}

bool is_ipv4_loopback(Route const& route) {
    if (route.target.ss_family != AF_INET) return false;
    auto const& target = reinterpret_cast<sockaddr_in const&>(route.target);
    return (ntohl(target.sin_addr.s_addr) >> 24) == 127;
}

std::string_view text_of(mqtt::Version version) {
    return version == mqtt::Version::v5 ? "5" : "3.1.1";
}

}  // namespace

Workload::Workload(Settings const& settings)
    : settings_{settings}, route_{resolve(settings)}, keep_alive_{settings.keep_alive} {
    if (settings.tls) tls_ = std::make_unique<ClientTls>(settings.tls_resume);
    route_.tls = tls_.get();
    run_id_ = settings.run_id;
    if (run_id_.empty()) {
        run_id_ = fmt::format("{}-{:x}", ::getpid(), reactor_.now().time_since_epoch().count());
    }
}

Workload::Group Workload::connect(GroupSpec const& spec) {
    Group group;
    group.reserve(spec.count);
    auto up_before = clients_up_;
    auto is_up = [&] { return clients_up_ - up_before == group.size(); };
    std::optional<RateClock> pace;
    auto paced = settings_.mode == Mode::conn && settings_.rate > 0;
    if (paced) pace.emplace(settings_.rate, reactor_.now());
    auto progress = [&] { return clients_up_; };
    while (group.size() < spec.count) {
        auto in_handshake = group.size() - (clients_up_ - up_before);
        if (in_handshake >= settings_.handshakes_max) {
            auto fewer = [&] {
                return group.size() - (clients_up_ - up_before) < settings_.handshakes_max;
            };
            wait_for("connecting", fewer, progress);
        }
        if (pace) {
            run_until(pace->next_due() - reactor_.now(), [] { return false; });
            pace->take();
        }
        open(spec, group);
    }
    wait_for("connecting", is_up, progress);
    return group;
}

void Workload::open(GroupSpec const& spec, Group& group) {
    auto tag = static_cast<std::uint32_t>(group.size());
    ClientEvents& events = *this;
    auto client = std::make_unique<Client>(reactor_, events, tag);
    auto packet = connect_packet(spec, tag);
    route_.source = std::max(route_.source,
                             static_cast<std::uint32_t>(clients_.size() / kConnectionsPerSource));
    if (!is_ipv4_loopback(route_)) route_.source = 0;
    auto error = client->open(route_, packet);
    while (error == EADDRNOTAVAIL && is_ipv4_loopback(route_) && route_.source < kSourcesMax) {
        ++route_.source;
        error = client->open(route_, packet);
    }
    if (error != 0) {
        throw LoadFailure{fmt::format("connecting to {}:{}: {}", settings_.host, settings_.port,
                                      std::strerror(error))};
    }
    group.push_back(client.get());
    clients_.push_back(std::move(client));
}

mqtt::Connect Workload::connect_packet(GroupSpec const& spec, std::uint32_t index) const {
    constexpr std::uint32_t kExpirySeconds = 3600;
    mqtt::Connect connect;
    connect.version = settings_.version;
    connect.client_id = fmt::format("load-{}-{}-{}", run_id_, spec.word, index);
    connect.clean_start = spec.clean_start;
    connect.keep_alive = settings_.keep_alive;
    if (spec.is_durable && settings_.version == mqtt::Version::v5) {
        connect.session_expiry_interval = kExpirySeconds;
    }
    if (!settings_.user_name.empty()) connect.user_name = settings_.user_name;
    if (!settings_.password.empty()) connect.password = to_buffer(settings_.password);
    return connect;
}

void Workload::subscribe(Group const& group,
                         std::function<std::string(std::uint32_t tag)> const& filter_of) {
    auto wanted = subscriptions_answered_ + group.size();
    for (auto* client : group) send_subscribe(*client, {filter_of(client->tag())});
    wait_for(
        "subscribing", [&] { return subscriptions_answered_ >= wanted; },
        [&] { return subscriptions_answered_; });
}

void Workload::send_subscribe(Client& client, std::vector<std::string> const& filters) {
    mqtt::Subscribe subscribe;
    subscribe.id = mqtt::PacketId{1};
    for (auto const& filter : filters) {
        mqtt::Subscription subscription;
        subscription.filter = filter;
        subscription.options.qos = settings_.qos;
        subscribe.subscriptions.push_back(std::move(subscription));
    }
    mqtt::encode(subscribe, settings_.version, client.outbound());
    client.touch();
}

bool Workload::run_until(std::chrono::nanoseconds limit, std::function<bool()> const& is_done) {
    auto deadline = reactor_.now() + limit;
    while (!is_done()) {
        if (reactor_.now() >= deadline) return false;
        turn(deadline);
    }
    return true;
}

std::chrono::nanoseconds Workload::length_of(double seconds_given) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>{seconds_given});
}

void Workload::run_for(double length) {
    run_until(length_of(length), [] { return false; });
}

void Workload::wait_for(std::string_view what, std::function<bool()> const& is_done,
                        std::function<std::uint64_t()> const& progress) {
    auto last = progress();
    auto moved_at = reactor_.now();
    while (!is_done()) {
        turn(reactor_.now() + kTickMax);
        throw_if_cut_off(what);
        if (progress() != last) {
            last = progress();
            moved_at = reactor_.now();
        } else if (reactor_.now() - moved_at > kSetUpPatience) {
            throw LoadFailure{
                fmt::format("{}: no progress for {} s", what, kSetUpPatience.count())};
        }
    }
    throw_if_cut_off(what);
}

void Workload::throw_if_cut_off(std::string_view what) const {
    if (disconnects_ == 0) return;
    throw LoadFailure{
        fmt::format("{} with {}:{}: {}", what, settings_.host, settings_.port, first_failure_)};
}

void Workload::turn(SteadyTime deadline) {
    auto wake_at = std::min({deadline, next_wake(), reactor_.now() + kTickMax});
    reactor_.turn(wake_at, this);
    on_turn_measured(reactor_.last_turn());
    if (keep_alive_ != 0 && reactor_.now() >= next_ping_) ping_the_silent();
}

void Workload::ping_the_silent() {
    next_ping_ = reactor_.now() + kPingInterval;
    auto silent_since = reactor_.now() - seconds{keep_alive_} * 3 / 4 + kPingInterval;
    for (auto const& client : clients_) {
        if (client->state() != Client::State::up || client->last_written() > silent_since) continue;
        mqtt::encode(mqtt::PingReq{}, client->version(), client->outbound());
        client->touch();
    }
}

void Workload::leave(Group const& group) {
    for (auto* client : group) client->leave();
}

JsonLine Workload::new_report() const {
    auto const& row = row_of(settings_.mode);
    JsonLine report;
    report.add("mode", row.name).add("host", settings_.host).add("port", settings_.port);
    report.add("mqtt", text_of(settings_.version));
    report.add("qos", static_cast<int>(settings_.qos));
    report.add("size", settings_.payload_size);
    report.add(row.peers_word, settings_.peers);
    if (settings_.mode == Mode::subs) {
        report.add("subscriptions", settings_.subscriptions);
        report.add("filters_per_packet", settings_.filters_per_packet);
    }
    report.add("window", settings_.window).add("rate", settings_.rate);
    report.add("messages", settings_.messages).add("warmup", settings_.warmup_seconds);
    report.add("seconds", settings_.seconds).add("settle", settings_.settle_seconds);
    report.add("keep_alive", settings_.keep_alive).add("seed", settings_.seed);
    report.add("durable", settings_.durable);
    report.add("pid", settings_.broker_pid).add("cpu", settings_.cpu);
    return report;
}

std::uint32_t Workload::window_for_acknowledged() const noexcept {
    return std::min<std::uint32_t>(settings_.window, receive_maximum_);
}

void Workload::on_up(Client& client, mqtt::ConnAck const& answer) {
    ++clients_up_;
    if (answer.receive_maximum) {
        receive_maximum_ = std::min(receive_maximum_, *answer.receive_maximum);
    }
    if (answer.server_keep_alive) keep_alive_ = *answer.server_keep_alive;
    on_client_up(client, answer);
}

void Workload::on_suback(Client& client, mqtt::SubAck const& answer) {
    for (auto reason : answer.reasons) {
        if (is_error(reason)) {
            on_closed(client, fmt::format("subscription refused: {}", name_of(reason)));
        }
    }
    subscriptions_answered_ += answer.reasons.size();
    on_subscribed(client);
}

void Workload::on_closed(Client&, std::string_view why) {
    if (disconnects_++ == 0) first_failure_ = why;
}

}  // namespace spoke::sim::load
