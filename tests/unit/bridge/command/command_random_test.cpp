#include <catch2/catch.hpp>
#include <random>

#include "bridge/command/command_tracker.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

using State = CommandState;

/// What the world did with a command, whatever the tracker thinks of it.
struct Truth {
    std::set<std::uint32_t> copies{};   // handed over by this process
    std::set<std::uint32_t> nowhere{};  // of these, told to be nowhere
    std::set<std::uint32_t> refused{};  // ... and by the device itself
    bool earlier = false;               // may have left in an earlier process
    bool told_sent = false;
    bool executed = false;
    std::optional<Command> end{};
};

/// A tracker whose world is played by dice, and a judge who looks at it after each step.
class Dice : public TrackerPort {
public:
    explicit Dice(std::uint64_t seed) : random_(seed) {
        start();
        tracker_->on_broker(true, clock_.now, *this);
    }

    std::map<State, int> ends{};

    void run(int steps) {
        for (int i = 0; i < steps; ++i) {
            step();
            judge();
        }
        come_to_rest();
    }

    void save(Command const& command, SavePurpose purpose) override {
        writes_.push_back({command, purpose});
    }
    bool takes_writes() const override { return true; }
    std::optional<Command> recall(std::string_view key) const override {
        for (auto const& [id, command] : stored_) {
            if (std::ranges::find(command.keys, key) != command.keys.end()) return command;
        }
        return std::nullopt;
    }
    SendResult send(Command const& command, Copy const& copy, Now const& now) override {
        CHECK(now.steady < deadline_of_.at(command.id) + 1ms);
        CHECK(stored_.at(command.id).may_have_left);  // before the first byte leaves
        CHECK(stored_.at(command.id).boot == command.boot);
        if (one_in(10)) return SendResult::no_room;
        auto& truth = truths_[command.id];
        CHECK(truth.copies.insert(copy.number).second);
        auto is_again = truth.copies.size() > truth.nowhere.size() + 1 || truth.earlier;
        if (command.request.deliver == Deliver::once) CHECK_FALSE(is_again);
        flying_.push_back({command.id, copy.number});
        return SendResult::done;
    }
    void changed(Command const& command) override {
        auto& truth = truths_[command.id];
        CHECK_FALSE(truth.end);
        if (!is_settled(command.state)) return;
        truth.end = command;
        ++ends[command.state];
        auto const& kept = stored_.at(command.id);
        CHECK(kept.state == command.state);  // stored before it is told
        judge_end(command, truth);
    }
    void discarded(CommandId const& id) override { CHECK(truths_[id].copies.empty()); }

private:
    struct Write {
        Command command;
        SavePurpose purpose;
    };
    struct Flying {
        CommandId id;
        std::uint32_t copy;
    };

    bool one_in(unsigned n) { return random_() % n == 0; }
    template <class T>
    std::size_t any_of(T const& list) {
        return static_cast<std::size_t>(random_() % list.size());
    }
    std::string device() { return one_in(2) ? "b1" : "b2"; }

    void start() {
        registry_ = std::make_unique<DeviceRegistry>(DeviceRegistry::Limits{});
        tracker_ = std::make_unique<CommandTracker>(CommandTracker::Limits{}, *registry_,
                                                    [this] { return random_(); });
    }

    void step() {
        switch (random_() % 16) {
            case 0:
            case 1:
                return submit();
            case 2:
            case 3:
            case 4:
                return commit();
            case 5:
                return fail_accept();
            case 6:
                return handover();
            case 7:
            case 8:
                return receipt();
            case 9:
                return execute();
            case 10:
                return answer();
            case 11:
                return birth();
            case 12:
                return state();
            case 13:
                return cancel();
            case 14:
                return pass(std::chrono::milliseconds{random_() % 3'000});
            case 15:
                if (one_in(20)) return restart();
                tracker_->on_broker(!one_in(3), clock_.now, *this);
                tracker_->on_room(clock_.now, *this);
                return;
        }
    }

    void submit() {
        CommandRequest request = unlock(device());
        request.ttl = std::chrono::milliseconds{500 + random_() % 8'000};
        request.supersede = one_in(6);
        if (one_in(2)) request.if_offline = IfOffline::wait;
        if (one_in(3)) request.deliver = Deliver::until;
        if (one_in(4)) request.ref = "r";
        auto result = tracker_->submit(request, {"dice"}, {}, clock_.now, *this);
        if (auto const* made = std::get_if<CommandTracker::Accepted>(&result)) {
            if (!made->replayed) deadline_of_[made->id] = clock_.now.steady + request.ttl;
            truths_[made->id];
        }
    }

    void commit() {
        if (writes_.empty()) return;
        auto write = std::move(writes_.front());
        writes_.pop_front();
        auto id = write.command.id;
        if (stored_.contains(id)) CHECK_FALSE(is_settled(stored_[id].state));
        stored_.insert_or_assign(id, std::move(write.command));
        tracker_->on_saved(id, write.purpose, true, clock_.now, *this);
    }

    /// Only a new record may be refused; then nothing else was written of it yet.
    void fail_accept() {
        if (writes_.empty() || writes_.front().purpose != SavePurpose::accept) return;
        auto id = writes_.front().command.id;
        auto same = [&](Write const& write) { return write.command.id == id; };
        if (std::ranges::count_if(writes_, same) > 1) return;
        writes_.pop_front();
        tracker_->on_saved(id, SavePurpose::accept, false, clock_.now, *this);
    }

    void handover() {
        if (flying_.empty()) return;
        auto const flying = flying_[any_of(flying_)];
        auto outcome = static_cast<Handover>(random_() % 5);
        auto& truth = truths_[flying.id];
        auto is_nowhere = outcome == Handover::nobody || outcome == Handover::refused ||
                          outcome == Handover::not_sent;
        if (is_nowhere && (truth.executed || truth.told_sent)) return;  // the broker does not lie
        if (is_nowhere) truth.nowhere.insert(flying.copy);
        tracker_->on_handover(flying.id, {flying.copy, outcome, "why"}, clock_.now, *this);
    }

    void receipt() {
        if (flying_.empty()) return;
        auto const flying = flying_[any_of(flying_)];
        auto& truth = truths_[flying.id];
        Receipt receipt;
        receipt.id = flying.id;
        receipt.client = device_of(flying.id);
        receipt.step = static_cast<ReceiptStep>(random_() % 5);
        receipt.at_us = clock_.now.wall.time_since_epoch().count() * 1000;
        auto is_end = receipt.step == ReceiptStep::expired || receipt.step == ReceiptStep::dropped;
        if (is_end && (truth.executed || truth.told_sent)) return;
        if (!is_end && truth.nowhere.contains(flying.copy)) return;
        if (is_end) truth.nowhere.insert(flying.copy);
        if (receipt.step == ReceiptStep::refused && truth.executed) return;
        if (receipt.step == ReceiptStep::refused) truth.refused.insert(flying.copy);
        truth.told_sent = truth.told_sent || !is_end;
        tracker_->on_receipt(receipt, flying.copy, clock_.now, *this);
    }

    /// A device carries out what reached it in time, once.
    void execute() {
        if (flying_.empty()) return;
        auto const flying = flying_[any_of(flying_)];
        auto& truth = truths_[flying.id];
        if (truth.nowhere.contains(flying.copy) || truth.refused.contains(flying.copy)) return;
        if (clock_.now.steady >= deadline_of_.at(flying.id)) return;
        auto const& order = stored_.at(flying.id);
        auto& last_n = last_n_[order.request.device];
        if (order.n <= last_n || order.boot != boots_[order.request.device]) return;
        last_n = order.n;
        truth.executed = true;
    }

    void answer() {
        if (stored_.empty()) return;
        auto at = stored_.begin();
        std::advance(at, any_of(stored_));
        auto& truth = truths_[at->first];
        if (!truth.executed) return;
        Answer message;
        message.id = at->first;
        message.verdict = one_in(3) ? Verdict::started : Verdict::ok;
        message.document = "{}";
        tracker_->on_answer(at->second.request.device, message, clock_.now, *this);
    }

    void birth() {
        auto name = device();
        Birth message;
        message.on = !one_in(3);
        if (one_in(4)) ++boots_[name];
        message.boot = boots_[name];
        if (registry_->on_birth(name, message, {clock_.now})) {
            tracker_->on_device_reachable(name, clock_.now, *this);
        }
    }

    void state() {
        auto name = device();
        StateReport report;
        report.boot = boots_[name];
        report.at = clock_.now.wall;
        report.last_n = {{"lock", last_n_[name]}};
        report.document = "{}";
        registry_->on_state(name, report, {clock_.now});
        tracker_->on_state(name, report, clock_.now, *this);
    }

    void cancel() {
        if (stored_.empty()) return;
        auto at = stored_.begin();
        std::advance(at, any_of(stored_));
        tracker_->cancel(at->first, "dice", clock_.now, *this);
    }

    void pass(std::chrono::milliseconds by) {
        clock_.advance(by);
        tracker_->on_timer(clock_.now, *this);
    }

    void restart() {
        writes_.clear();
        flying_.clear();
        start();
        clock_.advance(std::chrono::milliseconds{random_() % 2'000});
        std::map<std::string, std::uint64_t> numbers;
        for (auto const& [id, command] : stored_) {
            auto& n = numbers[command.request.device];
            n = std::max(n, command.n);
        }
        for (auto const& [name, n] : numbers) registry_->restore({name}, n, clock_.now);
        std::vector<Command> open;
        for (auto const& [id, command] : stored_) {
            auto& truth = truths_[id];
            truth.earlier = command.may_have_left;
            truth.copies.clear();
            truth.nowhere.clear();
            truth.refused.clear();
            if (is_settled(command.state)) {
                if (!truth.end) truth.end = command;
            } else {
                open.push_back(command);
            }
        }
        tracker_->restore(std::move(open), clock_.now, *this);
        tracker_->on_broker(true, clock_.now, *this);
    }

    std::string device_of(CommandId const& id) { return stored_.at(id).request.device; }

    /// At most one order of a lane is on its way. (One that is unknown after its time is not.)
    void judge() {
        std::map<std::string, int> under_way;
        for (auto const& [id, command] : stored_) {
            auto const* open = tracker_->find(id);
            if (open == nullptr || !tracker_->is_handed_over(id)) continue;
            auto is_over = clock_.now.steady >= deadline_of_.at(id) + 2s;
            if (open->state == State::unknown && is_over) continue;
            if (++under_way[open->request.device] > 1) {
                // The end of the one before may be on its way to the store.
                auto ending = std::ranges::count_if(writes_, [&](Write const& write) {
                    return write.purpose == SavePurpose::settle &&
                           write.command.request.device == open->request.device;
                });
                CHECK(under_way[open->request.device] <= 1 + ending);
            }
        }
    }

    static void judge_end(Command const& command, Truth const& truth) {
        INFO(name_of(command.state) << " " << command.why);
        auto never_left = !truth.earlier && truth.copies == truth.nowhere;
        switch (command.state) {
            case State::expired:
            case State::cancelled:
            case State::superseded:
                CHECK(never_left);
                CHECK_FALSE(truth.executed);
                return;
            case State::succeeded:
                CHECK(truth.executed);
                return;
            case State::failed:
            case State::rejected:
                CHECK_FALSE(truth.executed);
                return;
            case State::abandoned:
            case State::queued:
            case State::sent:
            case State::delivered:
            case State::running:
            case State::unknown:
                return;
        }
    }

    /// Whatever happened: in the end every command has one.
    void come_to_rest() {
        for (int i = 0; i < 4; ++i) {
            while (!writes_.empty()) commit();
            pass(25h);
        }
        while (!writes_.empty()) commit();
        CHECK(tracker_->size() == 0);
        CHECK_FALSE(tracker_->next_deadline());
        for (auto const& [id, command] : stored_) CHECK(is_settled(command.state));
    }

    std::mt19937_64 random_;
    FakeClock clock_;
    std::unique_ptr<DeviceRegistry> registry_;
    std::unique_ptr<CommandTracker> tracker_;
    std::deque<Write> writes_;
    std::vector<Flying> flying_;
    std::map<CommandId, Command> stored_;
    std::map<CommandId, Truth> truths_;
    std::map<CommandId, SteadyTime> deadline_of_;
    std::map<std::string, std::uint64_t> boots_;
    std::map<std::string, std::uint64_t> last_n_;
};

}  // namespace

TEST_CASE("tracker: whatever happens in whatever order, no promise is broken",
          "[bridge][tracker][random]") {
    auto const first = spoke::test::seed_or(1);
    std::map<State, int> ends;
    for (std::uint64_t i = 0; i < 300; ++i) {
        INFO("seed " << first + i);
        Dice dice{first + i};
        dice.run(400);
        for (auto const& [state, times] : dice.ends) ends[state] += times;
    }
    // The dice are worth something only if all of it happens.
    for (auto state : {State::succeeded, State::failed, State::rejected, State::expired,
                       State::cancelled, State::superseded, State::abandoned}) {
        INFO(name_of(state) << " " << ends[state]);
        CHECK(ends[state] > 10);
    }
}

}  // namespace spoke::bridge::test
