#include "device-sim/load/json_line.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace spoke::sim::load {
namespace {

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out += '"';
}

}  // namespace

JsonLine& JsonLine::add(std::string_view name, std::string_view text) {
    return add_raw(name, quoted(text));
}

JsonLine& JsonLine::add(std::string_view name, double value) {
    return add_raw(name, std::isfinite(value) ? fmt::format("{:.3f}", value) : "null");
}

JsonLine& JsonLine::add(std::string_view name, bool value) {
    return add_raw(name, value ? "true" : "false");
}

JsonLine& JsonLine::add(std::string_view name, JsonLine const& object) {
    return add_raw(name, object.text());
}

JsonLine& JsonLine::add_raw(std::string_view name, std::string_view json) {
    if (!members_.empty()) members_ += ',';
    members_ += quoted(name);
    members_ += ':';
    members_ += json;
    return *this;
}

}  // namespace spoke::sim::load
