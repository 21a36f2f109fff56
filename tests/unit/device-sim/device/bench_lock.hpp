#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/device/lock.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim::test {

using namespace std::chrono_literals;

struct Sent {
    Channel channel;
    std::string payload;
    std::string trace;
};

/// A LockFact that outlives its call.
struct Fact {
    LockFact::Kind kind;
    std::string order;
    std::uint64_t n;
    bool moved;
    Result result;
};

class RecordingSink : public LockSink {
public:
    void publish(Channel channel, std::string_view payload, std::string_view trace) override {
        sent.push_back({channel, std::string{payload}, std::string{trace}});
    }
    void settled(Result result) override { results.push_back(result); }
    void ignored() override { ++ignored_count; }
    void power_cycled() override { ++power_cycles; }
    void fell_asleep(std::string_view last_words) override { sleeps.emplace_back(last_words); }
    void woke_up() override { ++wake_ups; }
    void happened(LockFact const& fact) override {
        facts.push_back({fact.kind, std::string{fact.order}, fact.n, fact.moved, fact.result});
    }

    std::vector<Sent> sent;
    std::vector<Result> results;
    int ignored_count = 0;
    int power_cycles = 0;
    std::vector<std::string> sleeps;
    int wake_ups = 0;
    std::vector<Fact> facts;
};

/// An order with the deadlines that a test gives it.
struct OrderText {
    std::string id;
    int n = 1;
    std::string verb = "unlock";
    std::string rest = R"(,"ttl":8000,"exp":8000)";  // the wall clock starts at 0

    [[nodiscard]] std::string json() const {
        return fmt::format(R"({{"id":"{}","n":{},"do":"{}"{}}})", id, n, verb, rest);
    }
};

/// One lock on the bench, connected, with a clock that only the test moves.
class BenchLock {
public:
    explicit BenchLock(LockModel model = {}, LockIdentity identity = {"b1", 7, 3, 5})
        : model_(std::move(model)), lock(model_, std::move(identity), now) {}

    BenchLock& connect() {
        lock.on_connected(now, sink);
        return *this;
    }

    BenchLock& order(OrderText const& text) { return receive(text.json()); }

    BenchLock& receive(std::string const& json, std::string_view trace = {}) {
        lock.on_order(as_bytes(json), trace, now, sink);
        return *this;
    }

    /// Lets time pass, calling the lock at each of its deadlines on the way.
    BenchLock& wait(std::chrono::milliseconds time) {
        auto end = now.steady + time;
        while (lock.deadline() <= end) {
            move_to(lock.deadline());
            lock.on_deadline(now, sink);
        }
        move_to(end);
        return *this;
    }

    /// Payloads on one channel since the last forget().
    [[nodiscard]] std::vector<std::string> on(Channel channel) const {
        std::vector<std::string> payloads;
        for (auto const& sent : sink.sent) {
            if (sent.channel == channel) payloads.push_back(sent.payload);
        }
        return payloads;
    }

    [[nodiscard]] std::vector<std::string> answers() const { return on(Channel::answer); }

    [[nodiscard]] std::string last(Channel channel) const {
        auto payloads = on(channel);
        return payloads.empty() ? std::string{} : payloads.back();
    }

    [[nodiscard]] std::string last_answer() const { return last(Channel::answer); }
    [[nodiscard]] std::string last_state() const { return last(Channel::state); }

    BenchLock& forget() {
        sink.sent.clear();
        return *this;
    }

    Now now{SteadyTime{1h}, WallTime{0ms}};
    RecordingSink sink;

private:
    void move_to(SteadyTime when) {
        now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(when - now.steady);
        now.steady = when;
    }

    LockModel model_;

public:
    Lock lock;
};

/// Whether JSON `text` has this member, spelt as the lock spells it: has(text, "r", "\"ok\"").
[[nodiscard]] inline bool has(std::string const& text, std::string_view name,
                              std::string_view value) {
    auto member = fmt::format(R"("{}":{})", name, value);
    auto at = text.find(member);
    if (at == std::string::npos) return false;
    auto next = text[at + member.size()];
    return next == ',' || next == '}' || next == ']';
}

/// Whether an answer says this: says(answer, "refused", "late").
[[nodiscard]] inline bool says(std::string const& answer, std::string_view outcome,
                               std::string_view why = {}) {
    if (!has(answer, "r", fmt::format(R"("{}")", outcome))) return false;
    if (why.empty()) return answer.find(R"("why")") == std::string::npos;
    return has(answer, "why", fmt::format(R"("{}")", why));
}

}  // namespace spoke::sim::test
