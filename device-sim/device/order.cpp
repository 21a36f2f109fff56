#include "device-sim/device/order.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <initializer_list>
#include <limits>
#include <utility>

namespace spoke::sim {
namespace {

namespace json = boost::json;
using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;

constexpr std::size_t kIdBytesMax = 64;
constexpr std::size_t kTextBytesMax = 128;
constexpr std::size_t kUrlBytesMax = 1024;
constexpr std::uint64_t kDayMs = 86'400'000;
constexpr std::uint64_t kDayS = 86'400;
constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 53;

constexpr std::array kLockStates{LockState::locked, LockState::unlocking, LockState::unlocked,
                                 LockState::locking, LockState::jammed};

/// Reads the members of one object and remembers whether all of them made sense.
class Members {
public:
    explicit Members(json::object const& object) : object_(object) {}

    std::optional<std::uint64_t> number(std::string_view name, std::uint64_t low,
                                        std::uint64_t high) {
        auto const* value = object_.if_contains(name);
        if (value == nullptr) return std::nullopt;
        std::uint64_t number = 0;
        if (value->is_uint64()) {
            number = value->get_uint64();
        } else if (value->is_int64() && value->get_int64() >= 0) {
            number = static_cast<std::uint64_t>(value->get_int64());
        } else {
            sound_ = false;
            return std::nullopt;
        }
        if (number < low || number > high) {
            sound_ = false;
            return std::nullopt;
        }
        return number;
    }

    std::optional<Seconds> seconds(std::string_view name, std::uint64_t low) {
        auto count = number(name, low, kDayS);
        if (!count) return std::nullopt;
        return Seconds{*count};
    }

    std::optional<std::string> text(std::string_view name, std::size_t low, std::size_t high) {
        auto const* value = object_.if_contains(name);
        if (value == nullptr) return std::nullopt;
        auto const* string = value->if_string();
        if (string == nullptr || string->size() < low || string->size() > high) {
            sound_ = false;
            return std::nullopt;
        }
        return std::string{string->data(), string->size()};
    }

    std::optional<bool> flag(std::string_view name) {
        auto const* value = object_.if_contains(name);
        if (value == nullptr) return std::nullopt;
        auto const* flag = value->if_bool();
        if (flag == nullptr) {
            sound_ = false;
            return std::nullopt;
        }
        return *flag;
    }

    /// An absent member is an empty object.
    json::object const& object(std::string_view name) {
        static json::object const empty;
        auto const* value = object_.if_contains(name);
        if (value == nullptr) return empty;
        auto const* object = value->if_object();
        if (object == nullptr) {
            sound_ = false;
            return empty;
        }
        return *object;
    }

    void allow_only(std::initializer_list<std::string_view> names) {
        for (auto const& member : object_) {
            std::string_view key{member.key().data(), member.key().size()};
            if (std::find(names.begin(), names.end(), key) == names.end()) sound_ = false;
        }
    }

    void require(bool condition) { sound_ = sound_ && condition; }

    [[nodiscard]] bool sound() const noexcept { return sound_; }

private:
    json::object const& object_;
    bool sound_ = true;
};

std::optional<json::value> parse_object(Bytes payload) {
    auto text = as_text(payload);
    json::error_code error;
    auto value = json::parse(json::string_view{text.data(), text.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    return value;
}

Unlock read_unlock(Members& args) {
    args.allow_only({"ride"});
    return {args.text("ride", 0, kTextBytesMax).value_or(std::string{})};
}

CloseLock read_close_lock(Members& args) {
    args.allow_only({});
    return {};
}

Locate read_locate(Members& args) {
    // The simulated bike always knows its place, so any age asked for is met.
    args.allow_only({"fresh_s", "track_s"});
    (void)args.number("fresh_s", 0, kDayS);
    return {args.seconds("track_s", 0)};
}

Ring read_ring(Members& args) {
    args.allow_only({"times", "pattern"});
    (void)args.text("pattern", 1, kTextBytesMax);
    auto times = args.number("times", 1, 20);
    return times ? Ring{static_cast<std::uint32_t>(*times)} : Ring{};
}

Alarm read_alarm(Members& args) {
    args.allow_only({"arm", "sens"});
    (void)args.number("sens", 0, 100);
    auto arm = args.flag("arm");
    args.require(arm.has_value());
    return {arm.value_or(false)};
}

ReadState read_state(Members& args) {
    args.allow_only({});
    return {};
}

Settings read_settings(Members& args) {
    args.allow_only({"v", "hb_s", "track_s", "sens", "apn"});
    (void)args.number("sens", 0, 100);
    (void)args.text("apn", 0, kTextBytesMax);
    Settings settings;
    if (auto version = args.number("v", 0, std::numeric_limits<std::uint32_t>::max())) {
        settings.version = static_cast<std::uint32_t>(*version);
    }
    settings.heartbeat = args.seconds("hb_s", 1);
    settings.track = args.seconds("track_s", 0);
    return settings;
}

Reboot read_reboot(Members& args) {
    args.allow_only({"after_s"});
    auto after = args.seconds("after_s", 0);
    return after ? Reboot{*after} : Reboot{};
}

Sleep read_sleep(Members& args) {
    args.allow_only({"after_s", "for_s"});
    Sleep sleep;
    sleep.after = args.seconds("after_s", 0).value_or(sleep.after);
    sleep.length = args.seconds("for_s", 1).value_or(sleep.length);
    return sleep;
}

Grant read_grant(Members& args) {
    args.allow_only({"until", "ride"});
    args.require(args.number("until", 1, kNumberMax).has_value());
    return {args.text("ride", 0, kTextBytesMax).value_or(std::string{})};
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 &&
           text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

Update read_update(Members& args) {
    args.allow_only({"url", "size", "sha256", "sig"});
    args.require(args.text("url", 1, kUrlBytesMax).has_value());
    args.require(args.number("size", 1, kNumberMax).has_value());
    args.require(is_sha256(args.text("sha256", 64, 64).value_or(std::string{})));
    (void)args.text("sig", 1, kUrlBytesMax);
    return {};
}

Cancel read_cancel(Members& args) {
    args.allow_only({"id"});
    auto id = args.text("id", 1, kIdBytesMax);
    args.require(id.has_value());
    return {std::move(id).value_or(std::string{})};
}

struct VerbRow {
    std::string_view name;
    Act (*read)(Members& args);
};

template <auto Read>
Act read_as_act(Members& args) {
    return Read(args);
}

constexpr std::array kVerbs{
    VerbRow{"unlock", read_as_act<read_unlock>},   VerbRow{"lock", read_as_act<read_close_lock>},
    VerbRow{"locate", read_as_act<read_locate>},   VerbRow{"ring", read_as_act<read_ring>},
    VerbRow{"alarm", read_as_act<read_alarm>},     VerbRow{"state", read_as_act<read_state>},
    VerbRow{"config", read_as_act<read_settings>}, VerbRow{"reboot", read_as_act<read_reboot>},
    VerbRow{"sleep", read_as_act<read_sleep>},     VerbRow{"grant", read_as_act<read_grant>},
    VerbRow{"update", read_as_act<read_update>},   VerbRow{"cancel", read_as_act<read_cancel>},
};

Condition read_condition(Members& members) {
    members.allow_only({"lock", "n", "speed_max"});
    Condition condition;
    if (auto name = members.text("lock", 1, kTextBytesMax)) {
        auto const* found = std::find_if(kLockStates.begin(), kLockStates.end(),
                                         [&](LockState state) { return to_text(state) == *name; });
        members.require(found != kLockStates.end());
        if (found != kLockStates.end()) condition.lock = *found;
    }
    condition.last_n = members.number("n", 0, kNumberMax);
    if (auto speed = members.number("speed_max", 0, 1000)) {
        condition.speed_max = static_cast<std::uint32_t>(*speed);
    }
    return condition;
}

void read_deadlines(Members& members, Order& order) {
    if (auto ttl = members.number("ttl", 1, kDayMs)) order.ttl = Millis{*ttl};
    if (auto at = members.number("exp", 0, kNumberMax)) {
        order.expires_at = static_cast<std::int64_t>(*at);
    }
    if (auto boot = members.number("boot", 0, std::numeric_limits<std::uint32_t>::max())) {
        order.boot = static_cast<std::uint32_t>(*boot);
    }
    if (auto at = members.number("exp_up", 0, kNumberMax)) {
        order.expires_at_up = static_cast<std::int64_t>(*at);
    }
    members.require(order.ttl || order.expires_at || order.expires_at_up);
}

}  // namespace

std::string_view to_text(Lane lane) noexcept {
    switch (lane) {
        case Lane::lock:
            return "lock";
        case Lane::info:
            return "info";
        case Lane::config:
            return "config";
        case Lane::none:
            return "";
    }
    return "";
}

std::string_view to_text(LockState state) noexcept {
    switch (state) {
        case LockState::locked:
            return "locked";
        case LockState::unlocking:
            return "unlocking";
        case LockState::unlocked:
            return "unlocked";
        case LockState::locking:
            return "locking";
        case LockState::jammed:
            return "jammed";
    }
    return "";
}

std::string_view ride_of(Act const& act) noexcept {
    if (auto const* unlock = std::get_if<Unlock>(&act)) return unlock->ride;
    if (auto const* grant = std::get_if<Grant>(&act)) return grant->ride;
    return {};
}

Lane lane_of(Act const& act) noexcept {
    struct LaneOf {
        Lane operator()(Unlock const&) const { return Lane::lock; }
        Lane operator()(CloseLock const&) const { return Lane::lock; }
        Lane operator()(Locate const&) const { return Lane::info; }
        Lane operator()(Ring const&) const { return Lane::info; }
        Lane operator()(ReadState const&) const { return Lane::info; }
        Lane operator()(Alarm const&) const { return Lane::config; }
        Lane operator()(Settings const&) const { return Lane::config; }
        Lane operator()(Reboot const&) const { return Lane::config; }
        Lane operator()(Sleep const&) const { return Lane::config; }
        Lane operator()(Grant const&) const { return Lane::lock; }
        Lane operator()(Update const&) const { return Lane::config; }
        Lane operator()(Cancel const&) const { return Lane::none; }
    };
    return std::visit(LaneOf{}, act);
}

ParsedOrder parse_order(Bytes payload) {
    auto value = parse_object(payload);
    if (!value) return Unreadable{};
    Members members{value->get_object()};
    auto id = members.text("id", 1, kIdBytesMax);
    if (!id) return Unreadable{};

    OrderHead head{std::move(*id), members.number("n", 1, kNumberMax).value_or(0),
                   members.text("tp", 0, kTextBytesMax).value_or(std::string{})};
    auto verb = members.text("do", 0, kTextBytesMax);
    if (!verb) return BadOrder{std::move(head), Why::bad_args};
    auto const* row = std::find_if(kVerbs.begin(), kVerbs.end(),
                                   [&](VerbRow const& known) { return known.name == *verb; });
    if (row == kVerbs.end()) return BadOrder{std::move(head), Why::unknown_verb};

    Members args{members.object("args")};
    Members conditions{members.object("if")};
    Order order{std::move(head), row->read(args), read_condition(conditions)};
    read_deadlines(members, order);
    members.require(order.head.n != 0 || lane_of(order.act) == Lane::none);
    if (auto const* cancel = std::get_if<Cancel>(&order.act)) {
        members.require(cancel->id != order.head.id);
    }
    if (!members.sound() || !args.sound() || !conditions.sound()) {
        return BadOrder{std::move(order.head), Why::bad_args};
    }
    return order;
}

std::optional<Settings> parse_wanted_settings(Bytes payload) {
    auto value = parse_object(payload);
    if (!value) return std::nullopt;
    Members members{value->get_object()};
    auto settings = read_settings(members);
    members.require(settings.version.has_value());
    if (!members.sound()) return std::nullopt;
    return settings;
}

std::optional<std::int64_t> parse_time(Bytes payload) {
    auto value = parse_object(payload);
    if (!value) return std::nullopt;
    Members members{value->get_object()};
    auto now = members.number("now", 0, kNumberMax);
    if (!now) return std::nullopt;
    return static_cast<std::int64_t>(*now);
}

}  // namespace spoke::sim
