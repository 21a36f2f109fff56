#pragma once

#include <boost/json.hpp>
#include <boost/system/result.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/problem.hpp"

namespace spoke::bridge {

/// One member of a request body. `read` gives false if the value is not what is expected.
template <class T>
struct JsonMember {
    std::string_view name;
    std::string_view expects;  // "an integer from 100 to 86400000", for the error
    bool (*read)(boost::json::value const& value, T& out);
    bool is_required = false;
};

/// Reads a JSON object by its table into `out`, which holds the defaults.
/// Errors  not JSON, not an object, a member that no row knows (with the nearest known name), a
/// value that
///         is not as expected, a required member missing. The nesting is bounded.
template <class T>
[[nodiscard]] std::optional<RequestError> read_members(std::string_view text,
                                                       std::span<JsonMember<T> const> table,
                                                       T& out) {
    boost::json::error_code error;
    auto value = boost::json::parse(text, error);
    if (error.failed()) return RequestError{"the body is not JSON: " + error.message()};
    auto const* object = value.if_object();
    if (object == nullptr) return RequestError{"the body is not a JSON object"};
    for (auto const& item : *object) {
        std::string_view key{item.key()};
        auto row = std::find_if(table.begin(), table.end(),
                                [key](auto const& r) { return r.name == key; });
        if (row == table.end()) {
            std::vector<std::string_view> names;
            for (auto const& known : table) names.push_back(known.name);
            std::string name{key};
            return RequestError{"there is no member \"" + name + "\"", name,
                                std::string{nearest_name(name, names)}};
        }
        if (!row->read(item.value(), out)) {
            std::string name{row->name};
            return RequestError{"\"" + name + "\" must be " + std::string{row->expects}, name};
        }
    }
    for (auto const& row : table) {
        if (row.is_required && !object->contains(row.name)) {
            std::string name{row.name};
            return RequestError{"\"" + name + "\" is missing: " + std::string{row.expects}, name};
        }
    }
    return std::nullopt;
}

}  // namespace spoke::bridge
