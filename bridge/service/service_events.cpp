// Of Service: what becomes an event of the log, and what does not.
#include "bridge/service/service.hpp"

#include <fmt/format.h>

#include <utility>

namespace spoke::bridge {
namespace {

/// The event of a message; a property that is longer than those of the API is none.
EventDraft draft_of(IncomingMessage const& message, Now const& now) {
    constexpr std::size_t kTypeBytesMax = 64;
    constexpr std::size_t kKeyBytesMax = 255;
    constexpr std::size_t kCollapseBytesMax = 128;
    auto draft = make_draft(message.topic, message.payload);
    draft.from_broker = true;
    if (!message.type.empty() && message.type.size() <= kTypeBytesMax) draft.type = message.type;
    if (message.key.size() <= kKeyBytesMax) draft.key = message.key;
    if (message.collapse.size() <= kCollapseBytesMax) draft.collapse = message.collapse;
    if (message.expires_in) draft.expires_at = now.wall + *message.expires_in;
    return draft;
}

/// Its expiry is not part of the fingerprint: the broker counts it down.
EventArrival arrival_of(IncomingMessage const& message) {
    if (message.delivery != 0) return {0, message.delivery};
    Fingerprint fingerprint;
    fingerprint.add(message.topic).add(message.payload).add(message.trace).add(message.type);
    fingerprint.add(message.key).add(message.collapse);
    return {message.packet_id, fingerprint.value()};
}

/// A command as everybody may see it: nobody learns who it was.
Command anonymous(Command command) {
    constexpr std::string_view kSomebody = "somebody";
    auto is_person = [](std::string_view by) {
        return by != "device" && by != "broker" && by != "bridge";
    };
    command.caller.by = kSomebody;
    for (auto& arrow : command.timeline) {
        if (is_person(arrow.by)) arrow.by = kSomebody;
    }
    return command;
}

}  // namespace

/// The message is acknowledged once its event is committed. What came before, and whose event is
/// there, is not recorded again.
void Service::record(IncomingMessage const& message) {
    auto draft = draft_of(message, world_.clock());
    if (message.packet_id != 0) {
        draft.arrival = arrival_of(message);
        auto may_be_known = message.dup || message.delivery != 0;
        if (may_be_known && redeliveries_.knows(*draft.arrival, hold_)) return;
        redeliveries_.add(*draft.arrival);
    }
    auto done = [this, hold = hold_, arrival = draft.arrival](EventLog::Recorded const&) {
        if (arrival) redeliveries_.on_stored(*arrival);
    };
    inboxes_.record(std::move(draft), Need::certain, std::move(done));
}

void Service::on_session(bool resumed) {
    redeliveries_.on_session(resumed);
    if (!resumed) world_.log.store().forget_arrivals();
}

/// The bridge itself published it, for an event that it has: what is below the prefixes of feed and
/// replay, and what the feed copies to a topic of its own. Whoever writes the id of an event into a
/// message of his own is recorded.
bool Service::is_own_copy(IncomingMessage const& message) const {
    auto const& feed = settings_.feed.prefix;
    auto is_of_feed = !feed.empty() && message.topic.size() > feed.size() &&
                      message.topic.starts_with(feed) && message.topic[feed.size()] == '/';
    if (is_of_feed || message.topic.starts_with(settings_.replay.prefix)) return true;
    if (message.event_id.empty()) return false;
    auto const& log = world_.log;
    auto cursor = Cursor::parse(message.event_id);
    auto is_ours = cursor && cursor->epoch == log.epoch() && cursor->offset > 0 &&
                   cursor->offset <= log.head_offset();
    if (!is_ours) return false;
    std::vector<std::string> const topic{std::string{message.topic}};
    auto page = log.read(cursor->offset - 1, topic, 1);
    auto is_there = !page.events.empty() && page.events[0]->offset() == cursor->offset;
    if (is_there) return Feed::is_copied_to_its_topic(page.events[0]->event());
    return page.is_stuck || log.removed_upto(topic) >= cursor->offset;
}

/// The event of what has become of a command since its last one; nullopt: nothing, or it is not
/// recorded.
std::optional<EventDraft> Service::transition_of(Command const& command) {
    auto topic = fmt::format("d/{}/evt", command.request.device);
    if (!world_.document || !world_.log.records(topic)) return std::nullopt;
    auto& told = told_[command.id];
    if (told >= command.timeline.size()) return std::nullopt;
    told = command.timeline.size();
    EventDraft draft;
    draft.topic = std::move(topic);
    draft.type = "command";
    draft.data = world_.document(anonymous(command));
    return draft;
}

}  // namespace spoke::bridge
