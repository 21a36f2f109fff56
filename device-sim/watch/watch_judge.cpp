#include "device-sim/watch/watch_judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "protocol/topic/topic.hpp"

namespace spoke::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kLog = "the log";
constexpr auto kBackWithin = 30s;  // a killed program, and all that waited for it
constexpr auto kCountedIn = 1s;    // the unit in which a broker counts down
constexpr auto kKnownWithin = 1s;  // what was recorded

std::int64_t millis_between(WallTime begin, WallTime end) {
    return (end - begin).count();
}

bool is_same(SeenEvent const& a, SeenEvent const& b) {
    return a.topic == b.topic && a.n == b.n && a.type == b.type && a.at == b.at && a.data == b.data;
}

std::string show(SeenEvent const& event) {
    return fmt::format("{} n {} type {:?} {}", event.topic, event.n, event.type, event.data);
}

/// "7777" of "u/7777/in"; empty: no inbox.
std::string inbox_of(std::string_view topic) {
    if (!topic.starts_with("u/") || !topic.ends_with("/in") || topic.size() < 6) return {};
    auto who = topic.substr(2, topic.size() - 5);
    return who.find('/') == std::string_view::npos ? std::string{who} : std::string{};
}

}  // namespace

void WatchJudge::find(Wrong wrong, std::string who, std::string id, std::string text) {
    verdict_.add({wrong, std::move(who), std::move(id), std::move(text), now_ms_});
}

// ---- readers ----

WatchJudge::Reader WatchJudge::add_reader(std::string name, std::vector<std::string> filters,
                                          Place start) {
    if (epoch_.empty()) epoch_ = start.epoch;
    readers_.push_back({std::move(name), std::move(filters), std::move(start)});
    return readers_.size() - 1;
}

void WatchJudge::on_begin(Reader reader, std::optional<WantedReset> wanted) {
    if (wanted && wanted->topics.empty()) wanted->topics.insert("");
    readers_[reader].wanted = std::move(wanted);
}

void WatchJudge::on_connected(Reader reader) {
    auto& state = readers_[reader];
    ++state.connections;
    state.owed.clear();
    state.was_reset.clear();
}

void WatchJudge::on_hello(Reader reader, HelloNote const& note) {
    auto& state = readers_[reader];
    if (note.resumed && note.lost == 0) return;
    auto was_reset =
        note.topic.empty() ? !state.was_reset.empty() : state.was_reset.contains(note.topic);
    if (!was_reset) state.owed.insert(note.topic);
}

void WatchJudge::on_cursor(Reader reader) {
    expect_no_reset(readers_[reader], {});
}

void WatchJudge::find_untold(ReaderState& reader, std::string const& id, std::string text) {
    find(Wrong::reset_untold, reader.name, id, std::move(text));
}

/// It is told something else.
void WatchJudge::expect_no_reset(ReaderState& reader, std::string const& id) {
    if (!std::exchange(reader.owed, {}).empty()) {
        find_untold(reader, id,
                    "the first frame says that something is missing, and no reset follows");
    }
    if (auto wanted = std::exchange(reader.wanted, {})) {
        find_untold(reader, id,
                    fmt::format("it came with a cursor that is of no use ({}), and was not told",
                                wanted->reason));
    }
}

void WatchJudge::on_event(Reader reader, SeenEvent const& event, Repeats repeats, WallTime now) {
    auto& state = readers_[reader];
    now_ms_ = millis_between(began_, now);
    ++counts_.told;
    expect_no_reset(state, event.place.text());
    auto matches = [&](auto const& filter) { return mqtt::matches(filter, event.topic); };
    if (event.place.epoch != epoch_ || event.place.offset <= state.start.offset ||
        std::none_of(state.filters.begin(), state.filters.end(), matches)) {
        return find(Wrong::events_altered, state.name, event.place.text(),
                    "nobody asked for it: " + show(event));
    }
    learn(event, state.name, false);
    if (state.taken.empty() || event.place.offset > state.taken.back()) {
        return state.taken.push_back(event.place.offset);
    }
    take_again(state, event, repeats);
}

void WatchJudge::take_again(ReaderState& reader, SeenEvent const& event, Repeats repeats) {
    auto offset = event.place.offset;
    if (!was_told(reader, offset)) {
        reader.late.push_back(offset);
        return find(Wrong::events_reordered, reader.name, event.place.text(),
                    fmt::format("came behind offset {}: {}", reader.taken.back(), show(event)));
    }
    // The first connection is no failure.
    auto failures =
        kills_.size() + reader.connections - std::min<std::uint64_t>(reader.connections, 1);
    if (repeats == Repeats::after_failures && ++reader.repeated[offset] <= failures) {
        ++counts_.repeats;
        return;
    }
    find(Wrong::events_doubled, reader.name, event.place.text(), show(event));
}

bool WatchJudge::was_told(ReaderState const& reader, std::uint64_t offset) {
    return std::binary_search(reader.taken.begin(), reader.taken.end(), offset) ||
           std::find(reader.late.begin(), reader.late.end(), offset) != reader.late.end();
}

void WatchJudge::on_reset(Reader reader, ResetNote const& note, WallTime now) {
    auto& state = readers_[reader];
    now_ms_ = millis_between(began_, now);
    ++counts_.resets;
    state.owed.erase("");
    state.owed.erase(note.topic);
    state.was_reset.insert(note.topic);
    if (state.wanted) {
        if (state.wanted->reason != note.reason) {
            find_untold(state, {},
                        fmt::format("told {:?} of its cursor, and it is {:?}", note.reason,
                                    state.wanted->reason));
        }
        state.wanted->topics.erase("");
        state.wanted->topics.erase(note.topic);
        if (note.topic.empty() || state.wanted->topics.empty()) state.wanted.reset();
    }
    auto place = Place::parse(note.cursor);
    if (!place || place->epoch != epoch_) {
        return find_untold(state, {},
                           fmt::format("a reset to {:?}, which is no place", note.cursor));
    }
    auto from = state.taken.empty() ? state.start.offset : state.taken.back();
    state.gaps.push_back({from, place->offset, now});
}

void WatchJudge::learn(SeenEvent const& event, std::string const& who, bool in_log) {
    auto [found, is_new] = known_.try_emplace(event.place.offset, Known{event, false});
    auto& known = found->second;
    known.in_log = known.in_log || in_log;
    if (!is_new && !is_same(known.event, event)) {
        find(Wrong::events_altered, who, event.place.text(),
             fmt::format("{} and {}", show(event), show(known.event)));
    }
}

// ---- writers and inboxes ----

void WatchJudge::on_asked(std::string const& message, MessageTerms const& terms, WallTime now) {
    if (messages_.try_emplace(message, Message{terms, now}).second) ++counts_.asked;
}

void WatchJudge::on_acknowledged(std::string const& message) {
    auto& known = messages_[message];
    if (!std::exchange(known.acknowledged, true)) ++counts_.acknowledged;
}

WatchJudge::Message const* WatchJudge::message_of(SeenEvent const& event) const {
    auto found = messages_.find(event.message);
    return found == messages_.end() ? nullptr : &found->second;
}

/// When the message of an event expires, as far as one can know: what a broker counts down has
/// become less on its way.
std::optional<TimeSpan> WatchJudge::expiry_of(SeenEvent const& event) const {
    auto const* message = message_of(event);
    if (message == nullptr || !message->terms.ttl) return std::nullopt;
    auto latest = event.at + *message->terms.ttl;
    if (!message->terms.counts_on_the_way) return TimeSpan{latest, latest};
    return TimeSpan{std::min(latest, message->asked_at + *message->terms.ttl - kCountedIn), latest};
}

/// The broker drops what expires while nobody takes it.
bool WatchJudge::may_have_died(Message const& message) const {
    auto const& terms = message.terms;
    if (!terms.ttl || !terms.counts_on_the_way) return false;
    return std::any_of(kills_.begin(), kills_.end(), [&](WallTime kill) {
        return kill + kBackWithin > message.asked_at && kill < message.asked_at + *terms.ttl;
    });
}

void WatchJudge::on_inbox(std::string const& who, InboxDocument const& document,
                          TimeSpan const& when) {
    looks_.push_back({who, document, false, when});
}

void WatchJudge::on_quiet_inbox(std::string const& who, InboxDocument const& document,
                                TimeSpan const& when) {
    looks_.push_back({who, document, true, when});
}

void WatchJudge::on_marked(std::string const& who, Place const& upto) {
    auto& mark = marks_[who];
    mark = std::max(mark, upto.offset);
}

// ---- the log ----

void WatchJudge::on_log(SeenEvent const& event) {
    if (event.place.epoch != epoch_) {
        return find(Wrong::events_altered, std::string{kLog}, event.place.text(),
                    "the log began anew in the middle of the run");
    }
    ++counts_.log;
    counts_.expired += event.type == "expired" ? 1 : 0;
    if (auto const* message = message_of(event)) {
        counts_.expiring += message->terms.ttl ? 1 : 0;
        counts_.collapsing += message->terms.collapse.empty() ? 0 : 1;
    }
    learn(event, std::string{kLog}, true);
}

void WatchJudge::on_log_begins_behind(Place const& place) {
    log_from_ = std::max(log_from_, place.offset);
}

bool WatchJudge::is_excused(ReaderState const& reader, SeenEvent const& event) {
    auto offset = event.place.offset;
    return std::any_of(reader.gaps.begin(), reader.gaps.end(), [&](Gap const& gap) {
        return offset > gap.from && offset <= gap.to && event.at <= gap.told_at;
    });
}

bool WatchJudge::must_be_told(ReaderState const& reader, SeenEvent const& event) const {
    return event.place.offset > reader.start.offset &&
           std::any_of(reader.filters.begin(), reader.filters.end(),
                       [&](auto const& filter) { return mqtt::matches(filter, event.topic); });
}

std::size_t WatchJudge::behind() const {
    return static_cast<std::size_t>(
        std::count_if(readers_.begin(), readers_.end(), [this](ReaderState const& reader) {
            if (reader.wanted) return true;
            auto last = std::find_if(known_.rbegin(), known_.rend(), [&](auto const& item) {
                return must_be_told(reader, item.second.event);
            });
            if (last == known_.rend() || is_excused(reader, last->second.event)) {
                return false;
            }
            return reader.taken.empty() || reader.taken.back() < last->first;
        }));
}

std::size_t WatchJudge::missing_writes() const {
    std::set<std::string_view> there;
    for (auto const& [offset, known] : known_) there.insert(known.event.message);
    return static_cast<std::size_t>(
        std::count_if(messages_.begin(), messages_.end(), [&](auto const& item) {
            auto const& [name, message] = item;
            return message.acknowledged && !there.contains(name) && !may_have_died(message);
        }));
}

std::size_t WatchJudge::open_expiries(WallTime now) const {
    InboxModels models;
    std::size_t open = 0;
    for (auto const& [offset, known] : known_) {
        take_into(models, known.event);
        auto expires = expiry_of(known.event);
        if (expires && expires->to > now) ++open;
    }
    for (auto const& [who, model] : models) open += model.untold_expiry(now) ? 1 : 0;
    return open;
}

void WatchJudge::take_into(InboxModels& models, SeenEvent const& event) const {
    auto who = inbox_of(event.topic);
    if (who.empty()) return;
    auto const* message = message_of(event);
    models[who].take(event, message == nullptr ? std::string{} : message->terms.collapse,
                     expiry_of(event));
}

void WatchJudge::on_end(WallTime now) {
    now_ms_ = millis_between(began_, now);
    judge_log();
    for (auto& reader : readers_) {
        if (reader.wanted) expect_no_reset(reader, {});
        judge_reader(reader);
    }
    judge_messages();
    judge_inboxes(now);
}

void WatchJudge::judge_log() {
    std::unordered_map<std::string, std::uint64_t> last_n;
    for (auto const& [offset, known] : known_) {
        auto id = known.event.place.text();
        if (!known.in_log && offset > log_from_) {
            find(Wrong::events_altered, std::string{kLog}, id,
                 "it was told, and the log does not have it: " + show(known.event));
        }
        auto [last, is_first] = last_n.try_emplace(known.event.topic, known.event.n);
        if (!is_first && known.event.n != last->second + 1) {
            find(Wrong::events_lost, std::string{kLog}, id,
                 fmt::format("{} comes behind n {}", show(known.event), last->second));
        }
        last->second = known.event.n;
    }
}

void WatchJudge::judge_reader(ReaderState const& reader) {
    for (auto const& [offset, known] : known_) {
        if (!must_be_told(reader, known.event) || was_told(reader, offset)) continue;
        if (is_excused(reader, known.event)) {
            ++counts_.excused;
            continue;
        }
        auto is_there = offset > log_from_;
        find(is_there ? Wrong::events_lost : Wrong::reset_untold, reader.name,
             known.event.place.text(), show(known.event));
    }
}

void WatchJudge::judge_messages() {
    for (auto const& [offset, known] : known_) {
        auto found = messages_.find(known.event.message);
        if (found != messages_.end()) found->second.offsets.push_back(offset);
    }
    for (auto const& [name, message] : messages_) {
        if (message.acknowledged && message.offsets.empty()) {
            if (may_have_died(message)) {
                ++counts_.died;
                continue;
            }
            find(Wrong::written_lost, name, {}, "acknowledged, and the log does not have it");
        }
        if (message.offsets.size() > 1) {
            find(Wrong::written_doubled, name, known_.at(message.offsets[1]).event.place.text(),
                 fmt::format("it is also offset {}", message.offsets[0]));
        }
    }
}

void WatchJudge::judge_inboxes(WallTime now) {
    // What the log has forgotten cannot be counted again.
    if (log_from_ > (readers_.empty() ? 0 : readers_.front().start.offset)) return;
    InboxModels models;
    for (auto const& [offset, known] : known_) {
        auto const& event = known.event;
        take_into(models, event);
        if (!event.state) continue;
        auto who = inbox_of(event.topic);
        judge_look({who, {*event.state, event.place}, false, {event.at, event.at}}, models[who]);
    }
    for (auto const& look : looks_) judge_look(look, models[look.who]);
    for (auto const& [who, mark] : marks_) {
        // A mark that covers no further message need not be an event of its own.
        if (!models[who].has_unread_upto(mark, now)) continue;
        find(Wrong::unread_wrong, who, {},
             fmt::format("marked up to offset {}, which was acknowledged, and the log has it up to "
                         "{}",
                         mark, models[who].mark()));
    }
    for (auto const& [who, model] : models) {
        auto untold = model.untold_expiry(now);
        if (!untold) continue;
        find(Wrong::unread_wrong, who, untold->text(), "it has expired, and no event says so");
    }
}

void WatchJudge::judge_look(InboxLook const& look, InboxModel const& model) {
    auto const& cursor = look.document.cursor;
    ++counts_.inboxes;
    auto offset = cursor ? cursor->offset : 0;
    auto wanted = model.at(offset, look.when);
    auto id = cursor ? cursor->text() : std::string{};
    auto when = fmt::format(" at {:.3f} s",
                            static_cast<double>(millis_between(began_, look.when.to)) / 1000.0);
    auto known = look.quiet ? model.last_offset(look.when.from - kKnownWithin) : 0;
    if (offset < known) {
        find(Wrong::unread_wrong, look.who, id,
             fmt::format("it knows nothing of offset {}{}", known, when));
    } else if (!wanted.allows(look.document.state)) {
        find(Wrong::unread_wrong, look.who, id,
             fmt::format("told {}, and its messages and marks make {}{}",
                         to_text(look.document.state), to_text(wanted), when));
    }
}

}  // namespace spoke::sim
