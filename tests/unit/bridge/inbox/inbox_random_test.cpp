#include <array>
#include <random>
#include <set>

#include "tests/support/seed.hpp"
#include "tests/unit/bridge/inbox/inbox_world.hpp"

namespace spoke::bridge {
namespace {

using namespace test;

/// What is unread by the words of the contract, from the whole log: slow and simple.
struct Truth {
    std::uint64_t unread = 0;
    std::map<std::string, std::uint64_t> by;
};

Truth truth_of(std::vector<Event> const& events, std::uint64_t mark, WallTime now) {
    Truth out;
    for (std::size_t i = 0; i < events.size(); ++i) {
        auto const& e = events[i];
        auto is_word = !e.from_broker && (e.type == "read" || e.type == "expired");
        if (is_word || e.offset <= mark || (e.expires_at && *e.expires_at <= now)) continue;
        auto is_replaced = false;
        for (auto j = i + 1; j < events.size(); ++j) {
            is_replaced = is_replaced || (!e.collapse.empty() && events[j].collapse == e.collapse);
        }
        if (is_replaced) continue;
        ++out.unread;
        ++out.by[e.type];
    }
    return out;
}

struct Waiter {
    std::string who;
    std::string known;
    bool told = false;
};

struct Run {
    explicit Run(std::uint64_t seed, Inboxes::Settings settings, std::uint64_t events_max)
        : random{seed}, w{settings, events_max} {}

    std::uint64_t below(std::uint64_t n) { return random() % n; }
    std::string any_who() { return std::string{"ab"[below(2)]}; }
    std::string any_type() { return std::array{"like", "comment", "read"}.at(below(3)); }
    std::string any_collapse() { return below(2) == 0 ? "" : std::string{"xyz"[below(3)]}; }
    std::optional<std::chrono::milliseconds> any_ttl() {
        if (below(3) != 0) return std::nullopt;
        return std::chrono::milliseconds{1 + below(5'000)};
    }

    void put() {
        auto who = any_who();
        std::vector<InboxMessage> messages;
        for (auto i = below(3) + 1; i > 0; --i) {
            messages.push_back(
                message(below(2) == 0 ? "like" : "comment", any_collapse(), any_ttl()));
        }
        auto key = below(2) == 0 ? "" : "key-" + std::to_string(below(5));
        w.put(who, std::move(messages), key);
    }

    void wait() {
        auto waiter = std::make_shared<Waiter>();
        waiter->who = any_who();
        waiter->known = w.inboxes->look(waiter->who).etag;
        w.inboxes->hold({waiter->who,
                         [waiter](auto const& view) { return view.etag == waiter->known; },
                         SteadyTime::max(), [waiter](auto const&) { waiter->told = true; }});
        waiters.push_back(waiter);
    }

    void step() {
        switch (below(12)) {
            case 0:
            case 1:
                return w.publish(any_who(), any_type(), any_collapse(), any_ttl());
            case 2:
            case 3:
                return put();
            case 4: {
                auto head = w.log->head_offset();
                return w.mark_read(any_who(), head - std::min(head, below(6)));
            }
            case 5:
                return w.advance(std::chrono::milliseconds{below(1'500)});
            case 6:
                return wait();
            case 7:
                if (fails && !w.store.pending.empty() &&
                    w.store.pending.front().need == Need::now_or_never) {
                    w.store.complete_one(false);
                }
                return;
            case 8:
                if (below(20) != 0) return;
                waiters.clear();
                return w.kill_and_restart();
            default:
                if (!w.store.pending.empty()) w.store.complete_one();
        }
    }

    void check() {
        for (std::string who : {"a", "b"}) {
            auto events = w.events_of(who);
            auto truth = truth_of(events, w.store.inbox_mark(who), w.clock.now.wall);
            auto document = w.document(who);
            CHECK(document.at("unread").to_number<std::uint64_t>() == truth.unread);
            CHECK(w.by(who) == json::serialize(json::value_from(truth.by)));
            CHECK(w.listed(who, {.unread_only = true, .limit = 1'000}).size() == truth.unread);
        }
        for (auto const& waiter : waiters) {
            CHECK(waiter->told == (w.inboxes->look(waiter->who).etag != waiter->known));
        }
        std::erase_if(waiters, [](auto const& waiter) { return waiter->told; });
    }

    /// The last word of the bridge is right, whatever failed before it.
    void check_notices() {
        for (std::string who : {"a", "b"}) {
            auto events = w.events_of(who);
            std::uint64_t mark = 0;
            for (std::size_t i = 0; i < events.size(); ++i) {
                auto const& e = events[i];
                if (!is_notice(e)) continue;
                auto data = json::parse(e.data).as_object();
                auto upto = json::value_to<std::string>(data.at("upto"));
                mark = std::max(mark, Cursor::parse(upto)->offset);
                auto is_last = i + 1 == events.size();
                if (fails && !is_last) continue;
                auto before = std::vector<Event>(events.begin(),
                                                 events.begin() + static_cast<std::ptrdiff_t>(i));
                auto truth = truth_of(before, mark, e.at);
                CHECK(data.at("unread").to_number<std::uint64_t>() == truth.unread);
                CHECK(json::serialize(data.at("by")) ==
                      json::serialize(json::value_from(truth.by)));
                ++notices;
            }
        }
    }

    std::mt19937_64 random;
    InboxWorld w;
    std::vector<std::shared_ptr<Waiter>> waiters;
    bool fails = false;
    int notices = 0;
};

TEST_CASE("inboxes: the counts are those of the log, whatever happens", "[inbox]") {
    auto fails = GENERATE(false, true);
    auto cache_bytes_max = GENERATE(std::size_t{1}, std::size_t{1} << 20);
    auto seed = spoke::test::seed_or(1);
    INFO("seed " << seed << " fails " << fails << " cache " << cache_bytes_max);
    int notices = 0;
    for (std::uint64_t i = 0; i < 25; ++i) {
        Run run{seed + i, {.cache_bytes_max = cache_bytes_max}, 10'000};
        run.fails = fails;
        for (int step = 0; step < 200; ++step) {
            run.step();
            if (step % 5 == 0) run.check();
        }
        run.w.settle();
        run.w.advance(2s);  // a notice that failed is tried again
        run.w.settle();
        run.check();
        run.check_notices();
        notices += run.notices;
    }
    CHECK(notices > 30);
}

TEST_CASE("inboxes: what retention has removed does not count", "[inbox]") {
    auto cache_bytes_max = GENERATE(std::size_t{1}, std::size_t{1} << 20);
    auto seed = spoke::test::seed_or(1);
    INFO("seed " << seed << " cache " << cache_bytes_max);
    for (std::uint64_t i = 0; i < 25; ++i) {
        Run run{seed + i, {.cache_bytes_max = cache_bytes_max}, 12};
        for (int step = 0; step < 200; ++step) {
            run.step();
            run.waiters.clear();
            run.check();
        }
    }
}

}  // namespace
}  // namespace spoke::bridge
