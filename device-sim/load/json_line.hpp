#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace spoke::sim::load {

/// Builds one JSON object on one line; members in the order they were added.
class JsonLine {
public:
    JsonLine& add(std::string_view name, std::string_view text);
    JsonLine& add(std::string_view name, char const* text) {
        return add(name, std::string_view{text});
    }
    /// Three digits behind the point; a number that is not finite becomes null.
    JsonLine& add(std::string_view name, double value);
    JsonLine& add(std::string_view name, bool value);
    JsonLine& add(std::string_view name, JsonLine const& object);
    template <std::integral Integer>
    JsonLine& add(std::string_view name, Integer value) {
        return add_raw(name, std::to_string(value));
    }

    [[nodiscard]] std::string text() const { return "{" + members_ + "}"; }

private:
    JsonLine& add_raw(std::string_view name, std::string_view json);

    std::string members_;
};

}  // namespace spoke::sim::load
