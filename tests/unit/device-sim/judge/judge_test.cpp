#include "device-sim/judge/judge.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace spoke;
using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

/// One bike, b1, a few riders, and a clock that the test moves.
class Court {
public:
    Court& pass(std::chrono::milliseconds time) {
        now += time;
        return *this;
    }

    Court& asks(std::string const& key, bool opens = true) {
        judge.on_asked({key, "b1", opens}, now);
        return *this;
    }

    /// A 2xx with this command; `c1` is wish `w1`'s, and so on.
    Court& told(std::string const& id, std::string const& state, std::uint64_t n = 1) {
        judge.on_told("w" + id.substr(1), note(id, state, n), now);
        return *this;
    }

    [[nodiscard]] CommandNote note(std::string const& id, std::string const& state,
                                   std::uint64_t n = 1) const {
        CommandNote note;
        note.id = id;
        note.device = "b1";
        note.state = state;
        note.n = n;
        note.deadline = WallTime{8s};
        note.settled = state != "queued" && state != "sent" && state != "unknown";
        return note;
    }

    Court& fact(LockFact::Kind kind, std::string const& id, std::uint64_t n = 1,
                Result result = {}) {
        std::string ride = "w" + id.substr(1);
        LockFact fact;
        fact.kind = kind;
        fact.order = id;
        fact.n = n;
        fact.lane = Lane::lock;
        fact.ride = ride;
        fact.opens = true;
        fact.expires_at = 8000;
        fact.result = result;
        fact.lock = lock;
        judge.on_fact("b1", fact, now);
        return *this;
    }

    /// The lock carries an unlock out.
    Court& opens(std::string const& id, std::uint64_t n = 1) {
        fact(LockFact::Kind::began, id, n);
        lock = LockState::unlocked;
        fact(LockFact::Kind::opened, id, n);
        return fact(LockFact::Kind::ended, id, n, kDone);
    }

    Court& fails(std::string const& id, std::uint64_t n = 1) {
        fact(LockFact::Kind::began, id, n);
        lock = LockState::jammed;
        return fact(LockFact::Kind::ended, id, n, failed(Why::jam));
    }

    Court& closed_by_hand() {
        lock = LockState::locked;
        LockFact fact;
        fact.kind = LockFact::Kind::closed;
        judge.on_fact("b1", fact, now);
        return *this;
    }

    [[nodiscard]] bool is_clean() const { return judge.verdict().is_clean(); }

    /// Whether this and nothing else was found, once.
    [[nodiscard]] bool found(Invariant invariant) const {
        auto const& verdict = judge.verdict();
        std::uint64_t all = 0;
        for (auto count : verdict.counts) all += count;
        return all == 1 && verdict.count(invariant) == 1 && verdict.examples.size() == 1;
    }

    WallTime now{0s};
    LockState lock = LockState::locked;
    Judge judge{WallTime{0s}};
};

CommandNote answered(CommandNote note, std::string result, std::string why = {},
                     std::string lock = {}) {
    note.answer_result = std::move(result);
    note.answer_why = std::move(why);
    note.answer_lock = std::move(lock);
    return note;
}

}  // namespace

TEST_CASE("Judge: a ride without trouble is clean", "[sim][judge]") {
    Court court;
    court.asks("w1").told("c1", "queued").pass(1s).opens("c1");
    court.judge.on_shown(answered(court.note("c1", "succeeded"), "ok", "", "unlocked"), court.now);
    court.pass(1min).closed_by_hand();
    CHECK(court.is_clean());
    CHECK(court.judge.openings() == 1);
    CHECK(court.judge.states() == std::map<std::string, std::uint64_t>{{"succeeded", 1}});
}

TEST_CASE("Judge: double_open", "[sim][judge][double_open]") {
    Court court;
    court.asks("w1").told("c1", "queued").opens("c1").closed_by_hand();
    SECTION("one order, twice") {
        court.opens("c1");
        CHECK(court.found(Invariant::double_open));
        CHECK(court.judge.verdict().examples[0].order == "c1");
        court.opens("c1");
        CHECK(court.found(Invariant::double_open));  // of one order it is counted once
    }
    SECTION("one wish, by two orders") {
        LockFact fact;
        fact.kind = LockFact::Kind::opened;
        fact.order = "c9";
        fact.ride = "w1";
        fact.lock = LockState::unlocked;
        court.judge.on_fact("b1", fact, court.now);
        CHECK(court.found(Invariant::double_open));
    }
    SECTION("near miss: another wish") {
        court.asks("w2").opens("c2", 2);
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: late_open", "[sim][judge][late_open]") {
    Court court;
    court.asks("w1");
    SECTION("by the deadline that the order carried") {
        court.pass(8s + Judge::kClockTolerance + 1ms).opens("c1");
        CHECK(court.found(Invariant::late_open));
    }
    SECTION("by the deadline that the rider was told, though the order carried a later one") {
        auto note = court.note("c1", "queued");
        note.deadline = WallTime{5s};
        court.judge.on_told("w1", note, court.now);
        court.pass(6s).opens("c1");
        CHECK(court.found(Invariant::late_open));
    }
    SECTION("told only after the lock had opened") {
        court.pass(6s).opens("c1");
        CHECK(court.is_clean());
        auto note = court.note("c1", "queued");
        note.deadline = WallTime{5s};
        court.judge.on_told("w1", note, court.now);
        CHECK(court.found(Invariant::late_open));
    }
    SECTION("near miss: the motor set out in time and took long") {
        court.pass(8s + Judge::kClockTolerance).fact(LockFact::Kind::began, "c1").pass(9s);
        court.lock = LockState::unlocked;
        court.fact(LockFact::Kind::opened, "c1");
        CHECK(court.is_clean());
    }
    SECTION("near miss: late, but it did not open") {
        court.pass(1min).fails("c1");
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: open_without_order", "[sim][judge][open_without_order]") {
    Court court;
    SECTION("nobody asked") {
        court.opens("c1");
        CHECK(court.found(Invariant::open_without_order));
    }
    SECTION("asked for another bike") {
        court.judge.on_asked({"w1", "b2", true}, court.now);
        court.opens("c1");
        CHECK(court.found(Invariant::open_without_order));
    }
    SECTION("asked for something else") {
        court.asks("w1", false).opens("c1");
        CHECK(court.found(Invariant::open_without_order));
    }
    SECTION("near miss: asked, and not told of anything yet") {
        court.asks("w1").opens("c1");
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: answer_contradicts_lock", "[sim][judge][answer]") {
    Court court;
    court.asks("w1").told("c1", "queued").pass(1s);
    auto show = [&](CommandNote const& note) { court.judge.on_shown(note, court.now); };
    SECTION("another result") {
        court.fails("c1");
        show(answered(court.note("c1", "failed"), "fail", "low_batt", "jammed"));
        CHECK(court.found(Invariant::answer_contradicts_lock));
    }
    SECTION("no result at all") {
        show(answered(court.note("c1", "failed"), "fail", "jam", "jammed"));
        CHECK(court.found(Invariant::answer_contradicts_lock));
    }
    SECTION("a state that the lock never was in") {
        court.fails("c1");
        show(answered(court.note("c1", "failed"), "fail", "jam", "unlocked"));
        CHECK(court.found(Invariant::answer_contradicts_lock));
    }
    SECTION("told as failed, and it has opened, in whatever order the two come") {
        bool told_first = GENERATE(false, true);
        if (told_first) show(court.note("c1", "failed"));
        court.opens("c1");
        if (!told_first) show(court.note("c1", "failed"));
        CHECK(court.found(Invariant::answer_contradicts_lock));
    }
    SECTION("near miss: what it is") {
        court.fails("c1");
        show(answered(court.note("c1", "failed"), "fail", "jam", "jammed"));
        CHECK(court.is_clean());
    }
    SECTION("near miss: the answer to a repetition tells how the lock is by then") {
        court.opens("c1").pass(1min).closed_by_hand();
        show(answered(court.note("c1", "succeeded"), "ok", "", "locked"));
        CHECK(court.is_clean());
    }
    SECTION("near miss: it has only been announced") {
        court.fact(LockFact::Kind::began, "c1");
        show(answered(court.note("c1", "running"), "started", "", "unlocking"));
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: succeeded_but_locked", "[sim][judge][succeeded]") {
    Court court;
    court.asks("w1");
    SECTION("it never opened") {
        court.told("c1", "succeeded");
        CHECK(court.found(Invariant::succeeded_but_locked));
    }
    SECTION("near miss: it opened, and was closed again") {
        court.opens("c1").closed_by_hand().told("c1", "succeeded");
        CHECK(court.is_clean());
    }
    SECTION("near miss: not an unlock") {
        court.asks("w2", false).told("c2", "succeeded");
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: expired_but_opened", "[sim][judge][expired]") {
    Court court;
    auto state = GENERATE(as<std::string>{}, "expired", "superseded", "cancelled");
    court.asks("w1").told("c1", "queued").pass(1s);
    SECTION("it opens after it was told") {
        court.told("c1", state).opens("c1");
        CHECK(court.found(Invariant::expired_but_opened));
    }
    SECTION("it opened before") {
        court.opens("c1").told("c1", state);
        CHECK(court.found(Invariant::expired_but_opened));
    }
    SECTION("near miss: `unknown` says that it may have") {
        court.told("c1", "unknown").opens("c1");
        CHECK(court.is_clean());
    }
    SECTION("near miss: it began and did not open") {
        court.told("c1", state).fails("c1");
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: error_status_but_opened", "[sim][judge][error_status]") {
    Court court;
    court.asks("w1");
    SECTION("it opens after the error") {
        court.judge.on_refused("w1", 503, court.now);
        court.opens("c1");
        CHECK(court.found(Invariant::error_status_but_opened));
    }
    SECTION("it opened before the error") {
        court.opens("c1").judge.on_refused("w1", 409, court.now);
        CHECK(court.found(Invariant::error_status_but_opened));
    }
    SECTION("an error that comes after the look-up of the key counts after a lost POST too") {
        court.judge.on_lost("w1", false);
        court.opens("c1").judge.on_refused("w1", 409, court.now);
        CHECK(court.found(Invariant::error_status_but_opened));
    }
    SECTION("near miss: this POST was turned away, the lost one before it was not") {
        court.judge.on_lost("w1", false);
        court.opens("c1").judge.on_refused("w1", 429, court.now);
        CHECK(court.is_clean());
    }
    SECTION("near miss: the rider gave one up, which the bridge may read later") {
        court.judge.on_lost("w1", true);
        court.judge.on_refused("w1", 409, court.now);
        court.opens("c1");
        CHECK(court.is_clean());
    }
    SECTION("near miss: he was told of the command before") {
        court.told("c1", "queued").judge.on_refused("w1", 503, court.now);
        court.opens("c1");
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: order_reordered", "[sim][judge][order]") {
    Court court;
    SECTION("carried out against its number") {
        court.asks("w1").asks("w2").opens("c2", 2).closed_by_hand().opens("c1", 1);
        CHECK(court.found(Invariant::order_reordered));
    }
    SECTION("numbered against the order of acceptance") {
        court.asks("w1").told("c1", "queued", 5).asks("w2").told("c2", "queued", 5);
        CHECK(court.found(Invariant::order_reordered));
    }
    SECTION("near miss: asked for at the same time") {
        court.asks("w1").asks("w2").told("c1", "queued", 5).told("c2", "queued", 4);
        CHECK(court.is_clean());
    }
    SECTION("near miss: a number is left out") {
        court.asks("w1").asks("w2").opens("c1", 1).closed_by_hand().opens("c2", 9);
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: settled_changed", "[sim][judge][settled]") {
    Court court;
    court.asks("w1").opens("c1").told("c1", "succeeded");
    SECTION("another state") {
        court.judge.on_shown(court.note("c1", "unknown"), court.now);
        CHECK(court.found(Invariant::settled_changed));
    }
    SECTION("the same state, told differently") {
        auto note = court.note("c1", "succeeded");
        note.late = true;
        court.judge.on_shown(note, court.now);
        CHECK(court.found(Invariant::settled_changed));
    }
    SECTION("near miss: the same again") {
        court.judge.on_shown(court.note("c1", "succeeded"), court.now);
        CHECK(court.is_clean());
    }
    SECTION("near miss: `unknown` is not settled") {
        court.asks("w2").told("c2", "unknown", 2).told("c2", "failed", 2);
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: record_lost", "[sim][judge][record_lost]") {
    Court court;
    court.asks("w1").told("c1", "queued");
    SECTION("it is not there any more") {
        court.judge.on_missing("c1", court.now);
        CHECK(court.found(Invariant::record_lost));
        CHECK(court.judge.open_count() == 0);
    }
    SECTION("the key makes another command") {
        court.judge.on_told("w1", court.note("c2", "queued", 2), court.now);
        CHECK(court.found(Invariant::record_lost));
    }
    SECTION("near miss: nobody was ever told of it") {
        court.judge.on_missing("c2", court.now);
        CHECK(court.is_clean());
    }
    SECTION("near miss: the key leads to the same command") {
        court.told("c1", "queued");
        CHECK(court.is_clean());
    }
}

TEST_CASE("Judge: left_open", "[sim][judge][left_open]") {
    Court court;
    court.asks("w1").told("c1", "unknown");
    CHECK(court.judge.open_commands() == std::vector<std::string>{"c1"});
    SECTION("its lock could tell") {
        court.judge.on_end([](auto, auto const&) { return true; }, court.now);
        CHECK(court.found(Invariant::left_open));
    }
    SECTION("near miss: its lock cannot") {
        court.judge.on_end([](auto, auto const&) { return false; }, court.now);
        CHECK(court.is_clean());
        CHECK(court.judge.excused() == 1);
    }
    SECTION("near miss: it is settled") {
        court.told("c1", "failed");
        court.judge.on_end([](auto, auto const&) { return true; }, court.now);
        CHECK(court.is_clean());
        CHECK(court.judge.open_commands().empty());
    }
}

TEST_CASE("Judge: only the first examples are kept, all are counted", "[sim][judge]") {
    Court court;
    for (int i = 1; i <= 9; ++i) court.opens("c" + std::to_string(i), static_cast<unsigned>(i));
    CHECK(court.judge.verdict().count(Invariant::open_without_order) == 9);
    CHECK(court.judge.verdict().examples.size() == Verdict::kExamplesMax);
}
