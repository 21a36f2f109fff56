#include "device-sim/load/round_trips.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace spoke::sim::load {
namespace {

constexpr std::chrono::seconds kStall{3};
constexpr std::uint32_t kIdsPerEnd = 64;

bool is_requester(std::uint32_t tag) {
    return tag % 2 == 0;
}

}  // namespace

Outcome RoundTrips::run() {
    auto clients = connect({.word = "end", .count = 2 * settings_.peers});
    subscribe(clients, [&](std::uint32_t tag) { return topic_of(tag ^ 1U); });
    build(clients);
    measure();
    leave(clients);
    return conclude();
}

std::string RoundTrips::topic_of(std::uint32_t tag) const {
    return fmt::format("{}/rtt/{}/{}", settings_.topic_prefix, tag / 2,
                       is_requester(tag) ? "request" : "response");
}

void RoundTrips::build(Group const& clients) {
    for (auto* client : clients) {
        auto topic = topic_of(client->tag());
        ends_.push_back({.client = client,
                         .message = PublishTemplate{{.topic = topic,
                                                     .version = settings_.version,
                                                     .qos = settings_.qos,
                                                     .payload_size = settings_.payload_size}},
                         .ids = PacketIds{kIdsPerEnd},
                         .checker = {},
                         .pending = {}});
    }
}

void RoundTrips::measure() {
    last_progress_ = reactor_.now();
    auto is_stuck = [&] { return disconnects_ != 0 || reactor_.now() - last_progress_ > kStall; };
    is_sending_ = true;
    if (settings_.rate > 0) pace_.emplace(settings_.rate, reactor_.now());
    for (std::uint32_t pair = 0; pair < settings_.peers; ++pair) request(ends_[2 * pair], pair);
    run_until(length_of(settings_.warmup_seconds), is_stuck);
    meter_.begin(reactor_.now());
    auto limit = settings_.messages == 0 ? length_of(settings_.seconds)
                                         : std::chrono::nanoseconds{std::chrono::hours{1}};
    run_until(limit, [&] {
        return is_stuck() || (settings_.messages != 0 && meter_.delivered() >= settings_.messages);
    });
    meter_.end(reactor_.now());
    is_sending_ = false;
    run_until(kStall, [&] { return is_stuck() || is_settled(); });
}

bool RoundTrips::is_settled() const {
    return std::ranges::all_of(ends_, [&](End const& end) {
        auto const& partner = ends_[end.client->tag() ^ 1U];
        return end.ids.all_free() && partner.checker.next() == end.sent;
    });
}

void RoundTrips::on_delivery(Client& client, Delivery const& delivery) {
    auto tag = client.tag();
    auto head = read_payload_head(delivery.payload);
    if (!head || head->flow != tag / 2 || delivery.topic != ends_[tag ^ 1U].message.topic()) {
        ++misrouted_;
        return;
    }
    last_progress_ = reactor_.now();
    auto& end = ends_[tag];
    if (end.checker.accept(head->sequence) == 0) return;
    if (meter_.is_running()) meter_.count_delivery();
    if (is_requester(tag)) {
        take_response(end, *head);
    } else {
        send(end, *head);
    }
}

void RoundTrips::take_response(End& requester, PayloadHead const& head) {
    ++rounds_;
    if (meter_.is_running()) {
        meter_.count_latency(reactor_.now().time_since_epoch() -
                             std::chrono::nanoseconds{head.sent_at});
    }
    if (!is_sending_) return;
    pace_ ? waiting_.push_back(head.flow) : request(requester, head.flow);
}

SteadyTime RoundTrips::next_wake() const {
    auto is_paced = pace_ && is_sending_ && !waiting_.empty();
    return is_paced ? pace_->next_due() : SteadyTime::max();
}

/// A request that is due while its pair waits for an answer leaves when that is there.
void RoundTrips::on_turn_end() {
    if (!pace_ || !is_sending_ || waiting_.empty()) return;
    reactor_.read_clock();
    last_progress_ = reactor_.now();
    if (pace_->next_due() > reactor_.now()) return;
    while (pace_->next_due() <= reactor_.now()) pace_->take();
    for (auto pair : std::exchange(waiting_, {})) request(ends_[2 * pair], pair);
}

void RoundTrips::request(End& requester, std::uint32_t pair) {
    reactor_.read_clock();
    send(requester, {.flow = pair,
                     .sequence = requester.sent,
                     .sent_at = reactor_.now().time_since_epoch().count()});
}

void RoundTrips::send(End& end, PayloadHead const& head) {
    auto is_acknowledged = settings_.qos != mqtt::Qos::at_most_once;
    if (is_acknowledged && !end.ids.has_free()) {
        end.pending = head;
        return;
    }
    auto id = is_acknowledged ? end.ids.take() : mqtt::PacketId{};
    end.message.append(end.client->outbound(), id, head);
    end.client->touch();
    ++end.sent;
}

void RoundTrips::on_acknowledged(Client& client, Acknowledgement const& acknowledgement) {
    last_progress_ = reactor_.now();
    auto& end = ends_[client.tag()];
    if (!end.ids.release(acknowledgement.id) || acknowledgement.is_error()) ++refused_;
    if (!end.pending) return;
    auto head = *end.pending;
    end.pending.reset();
    send(end, head);
}

void RoundTrips::on_turn_measured(std::chrono::nanoseconds duration) {
    if (meter_.is_running()) meter_.count_turn(duration);
}

Outcome RoundTrips::conclude() const {
    SequenceTotals totals;
    std::uint64_t sent = 0;
    for (auto const& end : ends_) {
        sent += end.sent;
        totals += end.checker.totals(ends_[end.client->tag() ^ 1U].sent);
    }
    Outcome outcome{.report = new_report()};
    auto& report = outcome.report;
    report.add("sent", sent).add("received", totals.received).add("lost", totals.lost);
    report.add("duplicated", totals.duplicated).add("misrouted", misrouted_);
    report.add("reordered", totals.reordered).add("refused", refused_);
    report.add("rounds", rounds_).add("disconnects", disconnects_);
    if (!first_failure_.empty()) report.add("failure", first_failure_);
    meter_.describe(report);
    outcome.generator_bound = meter_.is_generator_bound();
    outcome.contended = meter_.is_contended();
    outcome.is_sound =
        totals.lost + totals.duplicated + totals.reordered + misrouted_ + refused_ + disconnects_ ==
        0;
    return outcome;
}

}  // namespace spoke::sim::load
