#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device-sim/device/lock.hpp"
#include "protocol/base/time.hpp"
#include "protocol/client/client_events.hpp"

namespace spoke::sim {

/// Something on its way between a lock and its connection.
struct Pending {
    enum class Kind : std::uint8_t { order, settings, time, publish, puback, cut };

    Kind kind = Kind::order;
    SteadyTime due{};
    std::uint32_t connection = 0;  // it is for this one alone
    bool is_repetition = false;    // order: handed over a second time, whatever the connection
    Channel channel{};             // publish
    mqtt::AckToken token{};        // order, puback
    std::string payload{};
    std::string trace{};
};

/// What is on its way, by the time it is due; of the same time the first first. A few at a time.
class PendingQueue {
public:
    void push(Pending item) {
        auto at =
            std::upper_bound(items_.begin(), items_.end(), item.due,
                             [](SteadyTime due, Pending const& other) { return due < other.due; });
        items_.insert(at, std::move(item));
    }

    [[nodiscard]] std::optional<SteadyTime> next() const {
        if (items_.empty()) return std::nullopt;
        return items_.front().due;
    }

    [[nodiscard]] std::optional<Pending> pop_due(SteadyTime now) {
        if (items_.empty() || items_.front().due > now) return std::nullopt;
        auto item = std::move(items_.front());
        items_.erase(items_.begin());
        return item;
    }

private:
    std::vector<Pending> items_;
};

}  // namespace spoke::sim
