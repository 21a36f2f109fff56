#include "device-sim/load/footprint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "device-sim/load/publish_template.hpp"

namespace spoke::sim::load {
namespace {

constexpr std::chrono::seconds kQuiet{3};
constexpr std::uint32_t kAskedMax = 1000;  // messages on the way while subscriptions are read

/// What the broker's memory grew from the beginning of one interval to that of another, for each of
/// `count`.
double growth_per(std::uint32_t count, Meter const& from, Meter const& to) {
    auto growth =
        static_cast<double>(to.resident_before()) - static_cast<double>(from.resident_before());
    return growth / static_cast<double>(count);
}

}  // namespace

Outcome IdleConnections::run() {
    ramp_.begin(reactor_.now());
    auto group = connect({.word = "idle", .count = settings_.peers});
    ramp_.end(reactor_.now());
    run_for(settings_.settle_seconds);
    idle_.begin(reactor_.now());
    run_for(settings_.seconds);
    idle_.end(reactor_.now());
    auto stayed = static_cast<std::uint32_t>(std::ranges::count_if(
        group, [](Client const* c) { return c->state() == Client::State::up; }));

    Outcome outcome{.report = new_report()};
    auto& report = outcome.report;
    report.add("connected", stayed).add("disconnects", disconnects_);
    auto resumed = static_cast<std::uint32_t>(
        std::ranges::count_if(group, [](Client const* c) { return c->is_resumed(); }));
    if (settings_.tls) report.add("resumed", resumed);
    if (!first_failure_.empty()) report.add("failure", first_failure_);
    report.add("connects_per_second", settings_.peers / ramp_.seconds());
    ramp_.describe_latency_as(report, "connect_latency_us");
    if (settings_.broker_pid != 0) {
        report.add("rss_per_connection", growth_per(settings_.peers, ramp_, idle_));
        report.add("broker_cpu_us_per_connect", ramp_.broker_microseconds_per(settings_.peers));
        report.add("broker_rss_before", ramp_.resident_before());
        report.add("broker_rss_after", idle_.resident_before());
        report.add("broker_idle_cpu_share", idle_.broker_share());
    }
    outcome.generator_bound = ramp_.is_generator_bound();
    report.add("generator_bound", outcome.generator_bound);
    // Those that began before the first ticket came could not resume.
    auto resumable = settings_.tls_resume
                         ? settings_.peers - std::min(settings_.peers, settings_.handshakes_max)
                         : 0;
    outcome.is_sound = stayed == settings_.peers && resumed >= resumable;
    leave(group);
    return outcome;
}

void IdleConnections::on_client_up(Client& client, mqtt::ConnAck const&) {
    ramp_.count_latency(reactor_.now() - client.last_written());
}

Outcome ManySubscriptions::run() {
    auto is_read = settings_.part == Part::read;
    are_returning_ = is_read;
    auto group = connect_subscribers();
    are_returning_ = false;
    if (is_read) {
        read();
    } else {
        fill(group);
    }

    Outcome outcome{.report = new_report(), .is_sound = disconnects_ == 0};
    if (is_read) {
        describe_read(outcome);
    } else {
        describe_fill(outcome.report);
    }
    outcome.generator_bound = meter_.is_generator_bound();
    outcome.report.add("disconnects", disconnects_);
    outcome.report.add("generator_bound", outcome.generator_bound);
    leave(group);
    return outcome;
}

Workload::Group ManySubscriptions::connect_subscribers() {
    return connect({.word = "subscriber",
                    .count = settings_.peers,
                    .clean_start = !settings_.durable,
                    .is_durable = settings_.durable});
}

void ManySubscriptions::fill(Group const& group) {
    asked_.assign(group.size(), 0);
    run_for(settings_.settle_seconds);
    meter_.begin(reactor_.now());
    for (auto* client : group) subscribe_next(*client);
    wait_for(
        "subscribing", [&] { return subscriptions_answered_ >= settings_.subscriptions; },
        [&] { return subscriptions_answered_; });
    meter_.end(reactor_.now());
    run_for(settings_.settle_seconds);
    settled_.begin(reactor_.now());
}

void ManySubscriptions::describe_fill(JsonLine& report) const {
    report.add("subscribed", subscriptions_answered_);
    report.add("subscribes_per_second",
               static_cast<double>(subscriptions_answered_) / meter_.seconds());
    if (settings_.broker_pid == 0) return;
    report.add("rss_per_subscription", growth_per(settings_.subscriptions, meter_, settled_));
    report.add("broker_cpu_us_per_subscription",
               meter_.broker_microseconds_per(settings_.subscriptions));
    report.add("broker_rss_before", meter_.resident_before());
    report.add("broker_rss_after", settled_.resident_before());
}

void ManySubscriptions::read() {
    checkers_.resize(settings_.peers);
    auto publishers = connect({.word = "publisher"});
    asker_ = publishers.front();
    auto last = arrived_;
    auto has_more = [&] { return disconnects_ != 0 || arrived_ != last; };
    while (arrived_ < settings_.subscriptions && disconnects_ == 0 && run_until(kQuiet, has_more)) {
        last = arrived_;
    }
    asker_ = nullptr;
    leave(publishers);
}

void ManySubscriptions::describe_read(Outcome& outcome) const {
    SequenceTotals totals;
    for (std::uint32_t session = 0; session < settings_.peers; ++session) {
        totals += checkers_[session].totals(share_of(session));
    }
    outcome.report.add("read", totals.received).add("lost", totals.lost);
    outcome.report.add("duplicated", totals.duplicated).add("reordered", totals.reordered);
    outcome.report.add("misrouted", misrouted_).add("sessions_missing", sessions_missing_);
    outcome.is_sound = disconnects_ + totals.lost + totals.duplicated + totals.reordered +
                           misrouted_ + sessions_missing_ ==
                       0;
}

void ManySubscriptions::on_turn_end() {
    if (asker_ == nullptr) return;
    auto upto = std::min(settings_.subscriptions, arrived_ + kAskedMax);
    for (; sent_ < upto; ++sent_) {
        PayloadHead head{.flow = sent_ % settings_.peers, .sequence = sent_ / settings_.peers};
        auto topic = topic_of(head.flow, head.sequence);
        PublishTemplate message{{.topic = topic, .version = settings_.version}};
        message.append(asker_->outbound(), {}, head);
        asker_->touch();
    }
}

void ManySubscriptions::on_client_up(Client&, mqtt::ConnAck const& answer) {
    if (are_returning_ && !answer.session_present) ++sessions_missing_;
}

void ManySubscriptions::on_delivery(Client& client, Delivery const& delivery) {
    auto head = read_payload_head(delivery.payload);
    if (!head || head->flow != client.tag() ||
        delivery.topic != topic_of(head->flow, head->sequence)) {
        ++misrouted_;
        return;
    }
    if (checkers_[client.tag()].accept(head->sequence) != 0) ++arrived_;
}

std::string ManySubscriptions::topic_of(std::uint32_t session, std::uint32_t index) const {
    return fmt::format("{}/s/{}/{}", settings_.topic_prefix, session, index);
}

std::uint32_t ManySubscriptions::share_of(std::uint32_t tag) const noexcept {
    auto rest = settings_.subscriptions % settings_.peers;
    return settings_.subscriptions / settings_.peers + (tag < rest ? 1 : 0);
}

void ManySubscriptions::subscribe_next(Client& client) {
    auto& asked = asked_[client.tag()];
    auto upto = std::min(share_of(client.tag()), asked + settings_.filters_per_packet);
    if (asked == upto) return;
    std::vector<std::string> filters;
    for (; asked < upto; ++asked) {
        filters.push_back(topic_of(client.tag(), asked));
    }
    send_subscribe(client, filters);
}

void ManySubscriptions::on_subscribed(Client& client) {
    subscribe_next(client);
}

}  // namespace spoke::sim::load
