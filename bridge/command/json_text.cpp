#include "bridge/command/json_text.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <iterator>

namespace spoke::bridge {
namespace {

namespace json = boost::json;

// The depth is that of a value which the parser has accepted, and so bounded.
void append(json::value const& value, std::string& out);

void append(json::array const& array, std::string& out) {
    out += '[';
    for (auto const& item : array) {
        if (&item != array.begin()) out += ',';
        append(item, out);
    }
    out += ']';
}

void append(json::object const& object, std::string& out) {
    out += '{';
    for (auto const& member : object) {
        if (&member != object.begin()) out += ',';
        out += json::serialize(member.key());
        out += ':';
        append(member.value(), out);
    }
    out += '}';
}

void append(json::value const& value, std::string& out) {
    switch (value.kind()) {
        case json::kind::array:
            return append(value.get_array(), out);
        case json::kind::object:
            return append(value.get_object(), out);
        case json::kind::double_:
            fmt::format_to(std::back_inserter(out), "{}", value.get_double());
            return;
        case json::kind::null:
        case json::kind::bool_:
        case json::kind::int64:
        case json::kind::uint64:
        case json::kind::string:
            out += json::serialize(value);
            return;
    }
}

}  // namespace

std::string json_text(json::value const& value) {
    std::string out;
    append(value, out);
    return out;
}

}  // namespace spoke::bridge
