#include "device-sim/load/traffic.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spoke::sim::load {
namespace {

constexpr std::chrono::seconds kStall{3};
constexpr std::chrono::seconds kDrainMax{60};

}  // namespace

Traffic::Traffic(Settings const& settings)
    : Workload{settings},
      plan_{plan_traffic(settings)},
      meter_{settings.broker_pid},
      random_{static_cast<std::minstd_rand::result_type>(settings.seed)} {}

Outcome Traffic::run() {
    auto receiver_count = static_cast<std::uint32_t>(plan_.receivers.size());
    auto receivers = connect({.word = "receiver",
                              .count = receiver_count,
                              .clean_start = !settings_.durable,
                              .is_durable = settings_.durable});
    subscribe(receivers, [&](std::uint32_t tag) { return plan_.receivers[tag].filter; });
    auto publishers = connect({.word = "publisher", .count = plan_.publishers});
    for (auto* client : publishers) {
        auto window = window_for_acknowledged();
        publishers_.push_back({.client = client,
                               .ids = PacketIds{window},
                               .sent_at = std::vector<SteadyTime>(window)});
    }
    build();
    warm_up_and_measure();
    drain();
    leave(publishers);
    leave(receivers);
    auto outcome = conclude();
    if (settings_.durable) leave(connect({.word = "receiver", .count = receiver_count}));
    return outcome;
}

void Traffic::build() {
    for (auto const& flow : plan_.flows) {
        PublishTemplate message{{.topic = flow.topic,
                                 .version = settings_.version,
                                 .qos = settings_.qos,
                                 .payload_size = settings_.payload_size}};
        flows_.push_back({.message = std::move(message),
                          .window = FlowWindow{settings_.window, flow.receivers.size()},
                          .publisher = flow.publisher,
                          .receivers = flow.receivers});
    }
    std::size_t checkers = 0;
    for (auto const& receiver : plan_.receivers) {
        receivers_.push_back({.flows = receiver.flows, .first_checker = checkers});
        checkers += receiver.flows.size();
    }
    checkers_.resize(checkers);
}

void Traffic::warm_up_and_measure() {
    is_sending_ = true;
    last_progress_ = reactor_.now();
    if (has_rate()) {
        pace_.emplace(settings_.rate, reactor_.now());
    } else {
        for (std::uint32_t flow = 0; flow < flows_.size(); ++flow) make_ready(flow);
    }
    run_until(length_of(settings_.warmup_seconds), [&] { return is_broken(); });
    meter_.begin(reactor_.now());
    auto limit = settings_.messages == 0 ? length_of(settings_.seconds)
                                         : std::chrono::nanoseconds{std::chrono::hours{1}};
    run_until(limit, [&] {
        return is_broken() || (settings_.messages != 0 && meter_.delivered() >= settings_.messages);
    });
    meter_.end(reactor_.now());
    is_sending_ = false;
}

void Traffic::drain() {
    run_until(kDrainMax, [&] { return is_broken() || is_settled(); });
}

bool Traffic::is_settled() const {
    return std::ranges::all_of(flows_, [](Flow const& f) { return f.window.is_empty(); }) &&
           std::ranges::all_of(publishers_, [](Publisher const& p) { return p.ids.all_free(); });
}

void Traffic::on_delivery(Client& client, Delivery const& delivery) {
    last_progress_ = reactor_.now();
    auto head = read_payload_head(delivery.payload);
    auto const& receiver = receivers_[client.tag()];
    if (!head || !receiver.flows.contains(head->flow) ||
        delivery.topic != flows_[head->flow].message.topic()) {
        ++misrouted_;
        return;
    }
    auto& flow = flows_[head->flow];
    auto& checker = checkers_[receiver.first_checker + head->flow - receiver.flows.begin];
    auto moved = checker.accept(head->sequence);
    if (moved != 0) {
        flow.window.advance(checker.next(), moved);
        if (!has_rate()) make_ready(head->flow);
    }
    if (meter_.is_running()) {
        meter_.count_delivery();
        meter_.count_latency(reactor_.now().time_since_epoch() -
                             std::chrono::nanoseconds{head->sent_at});
    }
}

void Traffic::on_acknowledged(Client& client, Acknowledgement const& acknowledgement) {
    last_progress_ = reactor_.now();
    auto& publisher = publishers_[client.tag()];
    if (!publisher.ids.release(acknowledgement.id)) {
        ++unexpected_acknowledgements_;
    } else if (meter_.is_running()) {
        auto waited = reactor_.now() - publisher.sent_at[acknowledgement.id.value - 1U];
        meter_.count_acknowledgement(waited);
    }
    if (acknowledgement.is_error()) ++refused_;
    is_throttled_ = false;
    // Without a rate each publisher has one flow, of its own number.
    if (!has_rate()) make_ready(client.tag());
}

void Traffic::make_ready(std::uint32_t flow) {
    if (flows_[flow].is_ready) return;
    flows_[flow].is_ready = true;
    ready_.push_back(flow);
}

void Traffic::on_turn_end() {
    if (publishers_.empty()) return;
    reactor_.read_clock();
    if (is_sending_ && has_rate()) send_due();
    if (!has_rate()) refill();
    watch_for_stall();
}

void Traffic::refill() {
    for (auto flow : ready_) {
        flows_[flow].is_ready = false;
        while (is_sending_ && send_one(flow, reactor_.now())) {
        }
    }
    ready_.clear();
}

void Traffic::send_due() {
    auto now = reactor_.now();
    while (pace_->next_due() <= now) {
        auto due = pace_->next_due();
        is_throttled_ = !send_one(choose_flow(), due);
        if (is_throttled_) return;
        if (meter_.is_running()) meter_.count_lag(now - due);
        pace_->take();
    }
}

std::uint32_t Traffic::choose_flow() {
    auto count = static_cast<std::uint32_t>(flows_.size());
    if (settings_.mode == Mode::push) {
        return std::uniform_int_distribution<std::uint32_t>{0, count - 1}(random_);
    }
    next_flow_ = (next_flow_ + 1) % count;
    return next_flow_;
}

bool Traffic::send_one(std::uint32_t index, SteadyTime stamp) {
    auto& flow = flows_[index];
    auto& publisher = publishers_[flow.publisher];
    if (!flow.window.has_room()) return false;
    if (is_acknowledged() && !publisher.ids.has_free()) return false;
    auto id = is_acknowledged() ? publisher.ids.take() : mqtt::PacketId{};
    if (is_acknowledged()) publisher.sent_at[id.value - 1U] = stamp;
    PayloadHead head{
        .flow = index, .sequence = flow.window.take(), .sent_at = stamp.time_since_epoch().count()};
    flow.message.append(publisher.client->outbound(), id, head);
    publisher.client->touch();
    ++sent_;
    last_progress_ = reactor_.now();
    return true;
}

SteadyTime Traffic::next_wake() const {
    // A throttled sender is woken by what frees its window.
    if (!is_sending_ || !pace_ || is_throttled_) return SteadyTime::max();
    return pace_->next_due();
}

void Traffic::on_turn_measured(std::chrono::nanoseconds duration) {
    if (meter_.is_running()) meter_.count_turn(duration);
}

void Traffic::watch_for_stall() {
    if (reactor_.now() - last_progress_ < kStall || is_settled()) return;
    ++stalls_;
    last_progress_ = reactor_.now();
    if (is_acknowledged()) {
        has_stalled_ = true;
        return;
    }
    // At QoS 0 a broker may drop; what has not come by now will not.
    for (std::uint32_t flow = 0; flow < flows_.size(); ++flow) {
        flows_[flow].window.write_off();
        if (!has_rate()) make_ready(flow);
    }
    is_throttled_ = false;
}

SequenceTotals Traffic::add_up() const {
    SequenceTotals totals;
    for (auto const& receiver : receivers_) {
        for (auto flow = receiver.flows.begin; flow < receiver.flows.end; ++flow) {
            auto const& checker = checkers_[receiver.first_checker + flow - receiver.flows.begin];
            totals += checker.totals(flows_[flow].window.next());
        }
    }
    return totals;
}

Outcome Traffic::conclude() {
    auto totals = add_up();
    Outcome outcome{.report = new_report()};
    auto& report = outcome.report;
    report.add("sent", sent_).add("received", totals.received).add("lost", totals.lost);
    report.add("duplicated", totals.duplicated).add("misrouted", misrouted_);
    report.add("reordered", totals.reordered).add("refused", refused_);
    report.add("unexpected_acknowledgements", unexpected_acknowledgements_);
    report.add("stalls", stalls_).add("disconnects", disconnects_);
    if (!first_failure_.empty()) report.add("failure", first_failure_);
    meter_.describe(report);
    outcome.generator_bound = meter_.is_generator_bound();
    outcome.contended = meter_.is_contended();
    outcome.is_sound = totals.lost + totals.duplicated + totals.reordered + misrouted_ + refused_ +
                           unexpected_acknowledgements_ + stalls_ + disconnects_ ==
                       0;
    return outcome;
}

}  // namespace spoke::sim::load
