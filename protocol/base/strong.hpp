#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace spoke {

/// A number with a meaning: two ids of different tags do not mix.
template <class Value, class Tag>
struct Strong {
    Value value{};

    constexpr Strong() = default;
    constexpr explicit Strong(Value v) noexcept : value(v) {}
    friend constexpr auto operator<=>(Strong, Strong) = default;
};

}  // namespace spoke

template <class Value, class Tag>
struct std::hash<spoke::Strong<Value, Tag>> {
    std::size_t operator()(spoke::Strong<Value, Tag> id) const noexcept {
        return std::hash<Value>{}(id.value);
    }
};
