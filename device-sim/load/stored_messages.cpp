#include "device-sim/load/stored_messages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "device-sim/load/publish_template.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/packet/publish.hpp"

namespace spoke::sim::load {
namespace {

constexpr std::chrono::seconds kQuiet{3};

double to_kept_bytes(Meter const& fill, std::uint64_t messages) {
    auto growth =
        static_cast<double>(fill.resident_after()) - static_cast<double>(fill.resident_before());
    return growth / static_cast<double>(messages);
}

double per_second(std::uint64_t messages, Meter const& meter) {
    return static_cast<double>(messages) / meter.seconds();
}

}  // namespace

void StoredMessages::feed(std::uint64_t count, Meter* meter, AcknowledgedFeed::Append append) {
    auto publishers = connect({.word = "publisher"});
    AcknowledgedFeed::Plan plan{
        .window = window_for_acknowledged(), .total = count, .rate = settings_.rate};
    feed_.emplace(*publishers.front(), plan, reactor_.now(), std::move(append));
    feed_meter_ = meter;
    wait_for(
        "publishing", [&] { return feed_->is_done(); }, [&] { return feed_->acknowledged(); });
    feed_.reset();
    leave(publishers);
}

void StoredMessages::admit_bystander() {
    if (settings_.probe_rate <= 0) return;
    auto group = connect({.word = "bystander"});
    auto topic = fmt::format("{}/bystander", settings_.topic_prefix);
    subscribe(group, [&](std::uint32_t) { return topic; });
    PublishShape shape{
        .topic = topic, .version = settings_.version, .payload_size = settings_.payload_size};
    bystander_.emplace(*group.front(), shape, settings_.probe_rate, reactor_.now());
    is_bystander_active_ = true;
}

void StoredMessages::end_settled(Meter& meter) {
    meter.end(reactor_.now());
    is_bystander_active_ = false;
    run_for(settings_.settle_seconds);
    meter.sample_settled_broker();
}

void StoredMessages::on_delivery(Client& client, Delivery const& delivery) {
    if (!bystander_ || !bystander_->is_of(client)) return on_stored(client, delivery);
    if (!bystander_->take(delivery, reactor_.now())) ++misrouted_;
}

void StoredMessages::on_acknowledged(Client&, Acknowledgement const& acknowledgement) {
    if (acknowledgement.is_error()) ++refused_;
    if (!feed_) return;
    auto latency = feed_->take(acknowledgement, reactor_.now());
    if (latency && feed_meter_ != nullptr) feed_meter_->count_latency(*latency);
}

void StoredMessages::on_turn_end() {
    reactor_.read_clock();
    if (feed_) feed_->pump(reactor_.now());
    if (is_bystander_active_) bystander_->pump(reactor_.now());
}

void StoredMessages::on_turn_measured(std::chrono::nanoseconds duration) {
    for (auto* meter : {&fill_, &read_}) {
        if (meter->is_running()) meter->count_turn(duration);
    }
}

SteadyTime StoredMessages::next_wake() const {
    auto at = feed_ ? feed_->next_due() : SteadyTime::max();
    return is_bystander_active_ ? std::min(at, bystander_->next_due()) : at;
}

void StoredMessages::describe(Outcome& outcome, std::string_view read_word) const {
    auto& report = outcome.report;
    report.add("misrouted", misrouted_).add("refused", refused_).add("disconnects", disconnects_);
    if (!first_failure_.empty()) report.add("failure", first_failure_);
    if (has_part(Part::fill)) describe_fill(report);
    if (has_part(Part::read)) describe_read(report, read_word);
    if (bystander_) describe_bystander(report);
    outcome.generator_bound = fill_.is_generator_bound() || read_.is_generator_bound();
    outcome.contended = fill_.is_contended() || read_.is_contended();
    report.add("generator_bound", outcome.generator_bound).add("contended", outcome.contended);
}

void StoredMessages::describe_fill(JsonLine& report) const {
    report.add("stored_per_second", per_second(settings_.messages, fill_));
    fill_.describe_latency_as(report, "acknowledge_latency_us");
    if (settings_.broker_pid == 0) return;
    report.add("broker_cpu_us_per_stored", fill_.broker_microseconds_per(settings_.messages));
    report.add("rss_per_message", to_kept_bytes(fill_, settings_.messages));
    report.add("broker_rss_filled", fill_.resident_after());
}

void StoredMessages::describe_read(JsonLine& report, std::string_view read_word) const {
    report.add(fmt::format("{}_per_second", read_word), per_second(read_.delivered(), read_));
    read_.describe_latency_as(report, fmt::format("{}_latency_us", read_word));
    report.add("generator_turn_max_us", read_.longest_turn_microseconds());
    if (settings_.broker_pid == 0) return;
    report.add(fmt::format("broker_cpu_us_per_{}", read_word),
               read_.broker_microseconds_per(read_.delivered()));
    report.add(fmt::format("broker_rss_{}", read_word), read_.resident_after());
}

void StoredMessages::describe_bystander(JsonLine& report) const {
    report.add("bystander_latency_us", distribution_of(bystander_->latency()));
    report.add("bystander_unanswered", bystander_->sent() - bystander_->returned());
}

Outcome RetainedMessages::run() {
    if (has_part(Part::fill)) fill();
    if (has_part(Part::read)) read();
    if (settings_.part == Part::whole && !settings_.keep) clear();

    Outcome outcome{.report = new_report()};
    auto expected = has_part(Part::read) ? settings_.messages * settings_.peers : 0;
    auto lost = expected - std::min(expected, arrived_);
    outcome.report.add("read", arrived_).add("lost", lost).add("duplicated", duplicated_);
    outcome.report.add("without_retain_flag", unmarked_);
    describe(outcome, "read");
    outcome.is_sound = lost + duplicated_ + unmarked_ + misrouted_ + refused_ + disconnects_ == 0;
    return outcome;
}

std::string RetainedMessages::topic_of(std::uint64_t index) const {
    return fmt::format("{}/r/{}", settings_.topic_prefix, index);
}

void RetainedMessages::fill() {
    fill_.begin(reactor_.now());
    feed(settings_.messages, &fill_, [&](Buffer& out, mqtt::PacketId id, std::uint64_t index) {
        auto topic = topic_of(index);
        PublishTemplate message{{.topic = topic,
                                 .version = settings_.version,
                                 .qos = settings_.qos,
                                 .retain = true,
                                 .payload_size = settings_.payload_size}};
        message.append(out, id, {.flow = static_cast<std::uint32_t>(index)});
    });
    end_settled(fill_);
}

void RetainedMessages::read() {
    auto readers = connect({.word = "reader", .count = settings_.peers});
    seen_.assign(readers.size(), std::vector<bool>(settings_.messages));
    admit_bystander();
    read_.begin(reactor_.now());
    asked_at_ = reactor_.now();
    for (auto* reader : readers) {
        send_subscribe(*reader, {fmt::format("{}/r/#", settings_.topic_prefix)});
    }
    auto expected = settings_.messages * settings_.peers;
    auto last = arrived_;
    auto has_more = [&] { return disconnects_ != 0 || arrived_ != last; };
    while (arrived_ < expected && disconnects_ == 0 && run_until(kQuiet, has_more)) last = arrived_;
    end_settled(read_);
    leave(readers);
}

void RetainedMessages::on_stored(Client& client, Delivery const& delivery) {
    auto head = read_payload_head(delivery.payload);
    if (!head || head->flow >= settings_.messages || delivery.topic != topic_of(head->flow)) {
        ++misrouted_;
        return;
    }
    if (!delivery.retain) ++unmarked_;
    auto seen = seen_[client.tag()][head->flow];
    if (seen) {
        ++duplicated_;
        return;
    }
    seen_[client.tag()][head->flow] = true;
    ++arrived_;
    read_.count_delivery();
    read_.count_latency(reactor_.now() - asked_at_);
}

void RetainedMessages::clear() {
    feed(settings_.messages, nullptr, [&](Buffer& out, mqtt::PacketId id, std::uint64_t index) {
        mqtt::Publish empty;
        empty.topic = topic_of(index);
        empty.qos = settings_.qos;
        empty.retain = true;
        empty.id = id;
        mqtt::encode(empty, settings_.version, out);
    });
}

Outcome OfflineQueues::run() {
    checkers_.resize(settings_.peers);
    if (has_part(Part::fill)) {
        make_sessions();
        fill();
    }
    if (has_part(Part::read)) {
        drain();
        forget_sessions();
    }

    Outcome outcome{.report = new_report()};
    auto totals = has_part(Part::read) ? add_up() : SequenceTotals{};
    auto& report = outcome.report;
    report.add("drained", totals.received).add("lost", totals.lost);
    report.add("duplicated", totals.duplicated).add("reordered", totals.reordered);
    report.add("sessions_missing", sessions_missing_);
    describe(outcome, "drained");
    outcome.is_sound = totals.lost + totals.duplicated + totals.reordered + sessions_missing_ +
                           misrouted_ + refused_ + disconnects_ ==
                       0;
    return outcome;
}

SequenceTotals OfflineQueues::add_up() const {
    SequenceTotals totals;
    for (std::uint32_t session = 0; session < settings_.peers; ++session) {
        auto rest = settings_.messages % settings_.peers;
        auto sent = settings_.messages / settings_.peers + (session < rest ? 1 : 0);
        totals += checkers_[session].totals(static_cast<std::uint32_t>(sent));
    }
    return totals;
}

std::string OfflineQueues::topic_of(std::uint32_t session) const {
    return fmt::format("{}/q/{}", settings_.topic_prefix, session);
}

void OfflineQueues::make_sessions() {
    auto group = connect(
        {.word = "session", .count = settings_.peers, .clean_start = false, .is_durable = true});
    subscribe(group, [&](std::uint32_t tag) { return topic_of(tag); });
    leave(group);
    run_for(settings_.settle_seconds);
}

void OfflineQueues::fill() {
    std::vector<PublishTemplate> messages;
    for (std::uint32_t session = 0; session < settings_.peers; ++session) {
        auto topic = topic_of(session);
        messages.push_back(PublishTemplate{{.topic = topic,
                                            .version = settings_.version,
                                            .qos = settings_.qos,
                                            .payload_size = settings_.payload_size}});
    }
    fill_.begin(reactor_.now());
    feed(settings_.messages, &fill_, [&](Buffer& out, mqtt::PacketId id, std::uint64_t index) {
        auto session = static_cast<std::uint32_t>(index % settings_.peers);
        auto sequence = static_cast<std::uint32_t>(index / settings_.peers);
        messages[session].append(out, id, {.flow = session, .sequence = sequence});
    });
    end_settled(fill_);
}

void OfflineQueues::drain() {
    admit_bystander();
    is_draining_ = true;
    read_.begin(reactor_.now());
    asked_at_ = reactor_.now();
    auto group = connect(
        {.word = "session", .count = settings_.peers, .clean_start = false, .is_durable = true});
    auto last = arrived_;
    auto has_more = [&] { return disconnects_ != 0 || arrived_ != last; };
    while (arrived_ < settings_.messages && disconnects_ == 0 && run_until(kQuiet, has_more)) {
        last = arrived_;
    }
    end_settled(read_);
    is_draining_ = false;
    leave(group);
}

void OfflineQueues::forget_sessions() {
    leave(connect({.word = "session", .count = settings_.peers}));
}

void OfflineQueues::on_client_up(Client&, mqtt::ConnAck const& answer) {
    if (is_draining_ && !answer.session_present) ++sessions_missing_;
}

void OfflineQueues::on_stored(Client& client, Delivery const& delivery) {
    auto head = read_payload_head(delivery.payload);
    if (!head || head->flow != client.tag() || delivery.topic != topic_of(client.tag())) {
        ++misrouted_;
        return;
    }
    if (checkers_[client.tag()].accept(head->sequence) == 0) return;
    ++arrived_;
    read_.count_delivery();
    read_.count_latency(reactor_.now() - asked_at_);
}

}  // namespace spoke::sim::load
