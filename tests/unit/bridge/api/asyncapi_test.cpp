#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "bridge/api/event_operation.hpp"
#include "bridge/api/openapi.hpp"
#include "bridge/config/config.hpp"
#include "tests/unit/bridge/support/api_world.hpp"
#include "tests/unit/bridge/support/noting_sinks.hpp"

namespace spoke::bridge::test {
namespace {

using Names = std::set<std::string>;

json::object const& document() {
    static auto const parsed = json::parse(asyncapi_document()).as_object();
    return parsed;
}

std::string text_of(json::value const& value) {
    return json::value_to<std::string>(value);
}

json::object const& message(std::string_view name) {
    return document().at("components").at("messages").at(name).as_object();
}

json::object const& payload(std::string_view name) {
    return message(name).at("payload").as_object();
}

/// The messages of an operation.
Names messages_of(std::string_view operation) {
    Names out;
    for (auto const& one : document().at("operations").at(operation).at("messages").as_array()) {
        auto reference = text_of(one.at("$ref"));
        out.insert(reference.substr(reference.rfind('/') + 1));
    }
    return out;
}

Names members_of(json::object const& object) {
    Names out;
    for (auto const& [name, value] : object) out.emplace(name);
    return out;
}

/// What "op" is in a message; empty: it has none.
std::string op_of(std::string_view name) {
    auto const* op = payload(name).at("properties").as_object().if_contains("op");
    return op == nullptr ? "" : text_of(op->at("const"));
}

/// d/{device}/evt as a filter: the levels behind a last parameter may be many.
std::string filter_of(std::string address) {
    for (auto begin = address.find('{'); begin != std::string::npos; begin = address.find('{')) {
        auto end = address.find('}', begin) + 1;
        address.replace(begin, end - begin, end == address.size() ? "#" : "+");
    }
    return address;
}

/// The filters of the channels of operations that begin with this.
Names filters_of(std::string_view prefix) {
    Names out;
    for (auto const& [name, operation] : document().at("operations").as_object()) {
        if (!std::string_view{name}.starts_with(prefix)) continue;
        auto channel = text_of(operation.at("channel").at("$ref"));
        channel = channel.substr(channel.rfind('/') + 1);
        out.insert(filter_of(text_of(document().at("channels").at(channel).at("address"))));
    }
    return out;
}

/// Which of the messages that the bridge gives this is: it has all that must be there and, but for
/// answers, nothing else.
std::string kind_of(json::object const& frame) {
    for (auto const& name : messages_of("giveEvents")) {
        auto const& schema = payload(name);
        auto const* op = frame.if_contains("op");
        if (op_of(name) != (op == nullptr ? "" : text_of(*op))) continue;
        auto has_all = true;
        for (auto const& member : schema.at("required").as_array()) {
            has_all = has_all && frame.contains(text_of(member));
        }
        if (!has_all) continue;
        auto known = members_of(schema.at("properties").as_object());
        for (auto const& member : members_of(frame)) {
            INFO(name << " has no " << member);
            CHECK((known.contains(member) || name == "Answer"));
        }
        return name;
    }
    return "none: " + json::serialize(frame);
}

}  // namespace

TEST_CASE("asyncapi: has the operations that a WebSocket takes, with their members",
          "[bridge][api][asyncapi]") {
    std::map<std::string, Names> taken;
    for (auto const& form : event_operation_forms()) {
        taken[std::string{form.name}] = {form.members.begin(), form.members.end()};
        // Of those of the request's body the document has the one that must be there.
        if (form.has_more) taken[std::string{form.name}].insert("do");
    }
    std::map<std::string, Names> described;
    for (auto const& name : messages_of("operate")) {
        described[op_of(name)] = members_of(payload(name).at("properties").as_object());
    }
    CHECK(described == taken);
}

TEST_CASE("asyncapi: each example of an operation is one that can be read",
          "[bridge][api][asyncapi]") {
    for (auto const& name : messages_of("operate")) {
        for (auto const& example : message(name).at("examples").as_array()) {
            auto text = json::serialize(example.at("payload"));
            INFO(text);
            CHECK(std::holds_alternative<EventOperation>(parse_event_operation(text).operation));
        }
    }
}

TEST_CASE("asyncapi: whatever a WebSocket is given is described, and nothing else",
          "[bridge][api][asyncapi]") {
    ApiWorld w;
    w.happens("t/1", "1", "moved");
    w.message("t/1", "plain words");
    auto reply = w.ask(upgrade("/v1/events?topic=t/1&since=oldest"));
    auto& end = *reply.response.web_socket.end;
    NotingSocketSink sink;
    end.on_open(sink);
    end.on_message(R"({"op":"sub","topic":"t/2","since":"k6.1","q":1})", WebSocketSink::Kind::text);
    end.on_message(R"({"op":"nothing"})", WebSocketSink::Kind::text);
    end.on_room();
    for (int i = 0; i < 120; ++i) w.advance(250ms);
    Names kinds;
    for (auto const& frame : sink.messages) kinds.insert(kind_of(json::parse(frame).as_object()));
    CHECK(kinds == messages_of("giveEvents"));
    end.on_gone();
}

TEST_CASE("asyncapi: has the topics that are recorded, and those of the feed and the replay",
          "[bridge][api][asyncapi]") {
    Config const config;
    Names recorded;
    for (auto const& record : config.events.records) recorded.insert(record.filter);
    CHECK(filters_of("record") == recorded);
    auto const& feed = config.events.feed;
    CHECK(filters_of("feedEvents") == Names{feed + "/#"});
    CHECK(filters_of("resetFeed") == Names{feed + "/$reset"});
    CHECK(filters_of("replayEvents") == Names{"$r/+/replay"});
    auto const& channels = document().at("channels").as_object();
    CHECK(filter_of(text_of(channels.at("replayed").at("address"))) == feed + "/replay/#");
    CHECK(text_of(channels.at("replay").at("parameters").at("bridge").at("default")) ==
          config.broker.client_id);
}

}  // namespace spoke::bridge::test
