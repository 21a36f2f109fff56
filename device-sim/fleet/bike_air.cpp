#include <utility>

#include "device-sim/fleet/bike.hpp"
#include "protocol/base/bytes.hpp"

// The part of a bike which plays a network that is not perfect.

namespace spoke::sim {
namespace {

std::optional<Pending::Kind> kind_of(std::string_view leaf) {
    if (leaf == "cmd") return Pending::Kind::order;
    if (leaf == "cfg") return Pending::Kind::settings;
    if (leaf == "$time") return Pending::Kind::time;
    return std::nullopt;
}

}  // namespace

mqtt::Acknowledge Bike::take_into_air(std::string_view leaf, Bytes payload, std::string_view trace,
                                      mqtt::AckToken token) {
    auto kind = kind_of(leaf);
    if (!kind) return mqtt::Acknowledge::now;
    auto now = read_clocks().steady;
    Pending item;
    item.kind = *kind;
    item.due = Air::in_order(air_->last_in, now + air_->faults.draw_latency());
    item.connection = air_->connection;
    item.token = token;
    item.payload = as_text(payload);
    item.trace = trace;
    air_->queue.push(std::move(item));
    return mqtt::Acknowledge::later;
}

void Bike::publish_into_air(Channel channel, std::string_view payload, std::string_view trace) {
    auto now = read_clocks().steady;
    Pending item;
    item.kind = Pending::Kind::publish;
    item.channel = channel;
    item.due = Air::in_order(air_->last_out, now + air_->faults.draw_latency());
    item.connection = air_->connection;
    item.payload = payload;
    item.trace = trace;
    if (channel == Channel::answer) {
        auto lot = air_->faults.draw_answer(air_->elapsed(now));
        if (lot.lost) return commons_.fault_counts.add(Fault::answer_lost);
        if (lot.after) {
            commons_.fault_counts.add(Fault::answer_late);
            item.due = now + *lot.after;
        }
    }
    air_->queue.push(std::move(item));
}

void Bike::pass_air(Now now) {
    while (auto blow = air_->faults.next_blow(air_->elapsed(now.steady))) strike(*blow, now);
    if (air_->is_held(now.steady)) return;
    if (std::exchange(air_->is_holding, false)) link_.hold_reading(false);
    while (auto item = air_->queue.pop_due(now.steady)) deliver(std::move(*item), now);
}

void Bike::strike(Blow const& blow, Now now) {
    bool is_connected = link_.state() == mqtt::LinkState::connected;
    bool is_of_connection = blow.fault == Fault::cut || blow.fault == Fault::vanish;
    if (stopping_ || lock_.is_asleep() || (is_of_connection && !is_connected)) return;
    commons_.fault_counts.add(blow.fault);
    switch (blow.fault) {
        case Fault::stall:
        case Fault::garage:
            air_->held_until = std::max(air_->held_until, now.steady + blow.length);
            air_->is_holding = true;
            return link_.hold_reading(true);
        case Fault::cut:
            return link_.cut(mqtt::Cut::rst);
        case Fault::vanish:
            return link_.cut(mqtt::Cut::silent);
        case Fault::reboot:
            return lock_.power_cycle(now, *this);
        case Fault::clock_jump:
            return lock_.shift_clock(blow.length);
        case Fault::duplicate:
        case Fault::puback_lost:
        case Fault::puback_late:
        case Fault::answer_lost:
        case Fault::answer_late:
        case Fault::crash:
        case Fault::jam:
        case Fault::slow_motor:
        case Fault::clock_wrong:
        case Fault::clock_none:
        case Fault::low_battery:
        case Fault::twin:
        case Fault::storm:
            return;  // not of this kind: they befall orders, whole bikes or the fleet
    }
}

void Bike::deliver(Pending item, Now now) {
    if (!item.is_repetition && item.connection != air_->connection) return;  // it went with it
    switch (item.kind) {
        case Pending::Kind::order:
            return deliver_order(std::move(item), now);
        case Pending::Kind::settings:
            lock_.on_wanted_settings(as_bytes(item.payload), now, *this);
            break;
        case Pending::Kind::time:
            lock_.on_time(as_bytes(item.payload), now);
            break;
        case Pending::Kind::publish:
            return send(item.channel, item.payload, item.trace);
        case Pending::Kind::puback:
            link_.acknowledge(item.token);
            return;
        case Pending::Kind::cut:
            return link_.cut(mqtt::Cut::rst);
    }
    item.kind = Pending::Kind::puback;
    item.due = Air::in_order(air_->last_out, now.steady + air_->faults.draw_latency());
    air_->queue.push(std::move(item));
}

void Bike::deliver_order(Pending item, Now now) {
    if (lock_.is_asleep()) return;
    if (item.is_repetition) return lock_.on_order(as_bytes(item.payload), item.trace, now, *this);
    auto lot = air_->faults.draw_order(air_->elapsed(now.steady));
    count(lot);
    if (lot.again_after) {
        auto again = item;
        again.is_repetition = true;
        again.due = now.steady + *lot.again_after;
        air_->queue.push(std::move(again));
    }
    // Before the lock sees the order: the PUBACK is the modem's, and the answer comes behind it.
    acknowledge(item, lot, now);
    lock_.meets({lot.crash, lot.jam, lot.slow_motor});
    lock_.on_order(as_bytes(item.payload), item.trace, now, *this);
    lock_.meets({});
}

void Bike::acknowledge(Pending const& order, OrderLot const& lot, Now now) {
    Pending item;
    item.token = order.token;
    item.connection = order.connection;
    if (lot.cut_after) {
        item.kind = Pending::Kind::cut;
        item.due = now.steady + *lot.cut_after;
    } else {
        item.kind = Pending::Kind::puback;
        item.due = Air::in_order(air_->last_out, now.steady + air_->faults.draw_latency());
        if (lot.puback_after) item.due = now.steady + *lot.puback_after;
    }
    air_->queue.push(std::move(item));
}

void Bike::count(OrderLot const& lot) {
    auto& counts = commons_.fault_counts;
    if (lot.crash) counts.add(Fault::crash);
    if (lot.jam) counts.add(Fault::jam);
    if (lot.slow_motor) counts.add(Fault::slow_motor);
    if (lot.again_after) counts.add(Fault::duplicate);
    if (lot.cut_after) counts.add(Fault::puback_lost);
    if (lot.puback_after) counts.add(Fault::puback_late);
}

void Bike::begin_faults() {
    if (!air_) return;
    air_->began = read_clocks().steady;
    arm();
    if (!air_->twin) return;
    commons_.fault_counts.add(Fault::twin);
    air_->twin->start();
}

void Bike::calm() {
    if (!air_) return;
    air_->faults.calm();
    air_->held_until = {};
    if (air_->twin) air_->twin->stop();
    arm();
}

void Bike::cut(mqtt::Cut how) {
    if (link_.state() == mqtt::LinkState::connected) link_.cut(how);
}

}  // namespace spoke::sim
