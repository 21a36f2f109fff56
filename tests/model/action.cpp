#include "tests/model/action.hpp"

#include <fmt/format.h>

#include <ostream>

#include "tests/model/player.hpp"

namespace spoke::model {

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::connect:
            return "connect";
        case Kind::subscribe:
            return "subscribe";
        case Kind::unsubscribe:
            return "unsubscribe";
        case Kind::publish:
            return "publish";
        case Kind::publish_several:
            return "publish_several";
        case Kind::answer:
            return "answer";
        case Kind::release:
            return "release";
        case Kind::odd_answer:
            return "odd_answer";
        case Kind::ping:
            return "ping";
        case Kind::disconnect:
            return "disconnect";
        case Kind::cut:
            return "cut";
        case Kind::pass_time:
            return "pass_time";
        case Kind::restart:
            return "restart";
        case Kind::hold_store:
            return "hold_store";
    }
    return "?";
}

std::ostream& operator<<(std::ostream& out, Sequence const& sequence) {
    out << "setting " << sequence.setting;
    for (auto const& each : sequence.actions) {
        out << fmt::format("\n  {{{}, {}, {}, {}, {}, {}}}", name_of(each.kind), each.link, each.a,
                           each.b, each.c, each.d);
    }
    return out;
}

namespace {

rc::Gen<Action> any_action() {
    auto kind = rc::gen::weightedElement<Kind>({
        {12, Kind::connect},
        {16, Kind::subscribe},
        {4, Kind::unsubscribe},
        {26, Kind::publish},
        {4, Kind::publish_several},
        {20, Kind::answer},
        {5, Kind::release},
        {1, Kind::odd_answer},
        {1, Kind::ping},
        {4, Kind::disconnect},
        {5, Kind::cut},
        {6, Kind::pass_time},
        {1, Kind::restart},
        {2, Kind::hold_store},
    });
    auto number = rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 256));
    auto link = rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, Player::kLinks));
    return rc::gen::map(rc::gen::tuple(kind, link, number, number, number, number),
                        [](auto const& parts) { return std::make_from_tuple<Action>(parts); });
}

}  // namespace

rc::Gen<Sequence> any_sequence() {
    auto setting = rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, Player::kSettings));
    auto actions = rc::gen::container<std::vector<Action>>(any_action());
    return rc::gen::map(rc::gen::pair(setting, actions), [](auto const& parts) {
        return Sequence{parts.first, parts.second};
    });
}

}  // namespace spoke::model
