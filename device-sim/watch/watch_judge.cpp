#include "device-sim/watch/watch_judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "protocol/topic/topic.hpp"

namespace spoke::sim {
namespace {

constexpr std::string_view kLog = "the log";

std::int64_t millis_between(WallTime begin, WallTime end) {
    return (end - begin).count();
}

bool is_same(SeenEvent const& a, SeenEvent const& b) {
    return a.topic == b.topic && a.n == b.n && a.type == b.type && a.data == b.data;
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

void WatchJudge::on_connected(Reader reader) {
    auto& state = readers_[reader];
    ++state.connections;
    state.owes_reset = state.was_reset = false;
}

void WatchJudge::on_hello(Reader reader, bool resumed, std::uint64_t lost) {
    auto& state = readers_[reader];
    state.owes_reset = (!resumed || lost != 0) && !state.was_reset;
}

void WatchJudge::on_event(Reader reader, SeenEvent const& event, Repeats repeats, WallTime now) {
    auto& state = readers_[reader];
    now_ms_ = millis_between(began_, now);
    ++counts_.told;
    if (std::exchange(state.owes_reset, false)) {
        find(Wrong::reset_untold, state.name, event.place.text(),
             "the first frame says that something is missing, and no reset follows");
    }
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
    auto failures = kills_ + reader.connections - std::min<std::uint64_t>(reader.connections, 1);
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

void WatchJudge::on_reset(Reader reader, Place const& cursor, WallTime now) {
    auto& state = readers_[reader];
    now_ms_ = millis_between(began_, now);
    ++counts_.resets;
    state.owes_reset = false;
    state.was_reset = true;
    auto from = state.taken.empty() ? state.start.offset : state.taken.back();
    state.gaps.emplace_back(from, cursor.offset);
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

void WatchJudge::on_asked(std::string const& message) {
    if (messages_.try_emplace(message).second) ++counts_.asked;
}

void WatchJudge::on_acknowledged(std::string const& message) {
    auto& known = messages_[message];
    if (!std::exchange(known.acknowledged, true)) ++counts_.acknowledged;
}

void WatchJudge::on_inbox(std::string const& who, InboxDocument const& document, WallTime now) {
    looks_.push_back({who, document, false, millis_between(began_, now)});
}

void WatchJudge::on_quiet_inbox(std::string const& who, InboxDocument const& document,
                                WallTime now) {
    looks_.push_back({who, document, true, millis_between(began_, now)});
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
    learn(event, std::string{kLog}, true);
}

void WatchJudge::on_log_begins_behind(Place const& place) {
    log_from_ = std::max(log_from_, place.offset);
}

bool WatchJudge::is_excused(ReaderState const& reader, std::uint64_t offset) {
    return std::any_of(reader.gaps.begin(), reader.gaps.end(), [offset](auto const& gap) {
        return offset > gap.first && offset <= gap.second;
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
            auto last = std::find_if(known_.rbegin(), known_.rend(), [&](auto const& item) {
                return must_be_told(reader, item.second.event);
            });
            if (last == known_.rend() || is_excused(reader, last->first)) return false;
            return reader.taken.empty() || reader.taken.back() < last->first;
        }));
}

std::size_t WatchJudge::missing_writes() const {
    std::size_t there = 0;
    for (auto const& [offset, known] : known_) {
        auto found = messages_.find(known.event.message);
        there += found != messages_.end() && found->second.acknowledged ? 1 : 0;
    }
    return counts_.acknowledged - std::min<std::uint64_t>(there, counts_.acknowledged);
}

void WatchJudge::on_end(WallTime now) {
    now_ms_ = millis_between(began_, now);
    judge_log();
    for (auto const& reader : readers_) judge_reader(reader);
    judge_messages();
    judge_inboxes();
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
        if (is_excused(reader, offset)) {
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
            find(Wrong::written_lost, name, {}, "acknowledged, and the log does not have it");
        }
        if (message.offsets.size() > 1) {
            find(Wrong::written_doubled, name, known_.at(message.offsets[1]).event.place.text(),
                 fmt::format("it is also offset {}", message.offsets[0]));
        }
    }
}

void WatchJudge::judge_inboxes() {
    std::map<std::string, InboxModel> models;
    for (auto const& [offset, known] : known_) {
        auto who = inbox_of(known.event.topic);
        if (who.empty()) continue;
        auto& model = models[who];
        model.take(known.event);
        if (!known.event.state) continue;
        InboxDocument told{*known.event.state, known.event.place};
        judge_look({who, std::move(told), false, now_ms_}, model);
    }
    for (auto const& look : looks_) judge_look(look, models[look.who]);
    for (auto const& [who, mark] : marks_) {
        // A mark that covers no further message need not be an event of its own.
        if (!models[who].has_unread_upto(mark)) continue;
        find(Wrong::unread_wrong, who, {},
             fmt::format("marked up to offset {}, which was acknowledged, and the log has it up to "
                         "{}",
                         mark, models[who].mark()));
    }
}

void WatchJudge::judge_look(InboxLook const& look, InboxModel const& model) {
    auto const& cursor = look.document.cursor;
    // What the log has forgotten cannot be counted again.
    if (log_from_ > (readers_.empty() ? 0 : readers_.front().start.offset)) return;
    ++counts_.inboxes;
    auto offset = cursor ? cursor->offset : 0;
    auto wanted = model.at(offset);
    auto id = cursor ? cursor->text() : std::string{};
    auto when = fmt::format(" at {:.3f} s", static_cast<double>(look.at_ms) / 1000.0);
    if (look.quiet && offset < model.last_offset()) {
        find(Wrong::unread_wrong, look.who, id,
             fmt::format("it knows nothing of offset {}{}", model.last_offset(), when));
    } else if (look.document.state != wanted) {
        find(Wrong::unread_wrong, look.who, id,
             fmt::format("told {}, and its messages and marks make {}{}",
                         to_text(look.document.state), to_text(wanted), when));
    }
}

}  // namespace spoke::sim
